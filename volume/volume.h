/* volume.h - a voxel array with its position in the patient.
 *
 * Shape     (C, Z, Y, X), X fastest: voxel (z,y,x) of channel c is element
 *           ((c*nz + z)*ny + y)*nx + x. As a tensor it is (C, D, H, W) without a copy.
 * Axes      arrays of three are in memory order z, y, x everywhere, except the columns of
 *           to_world, which take a voxel index as (x, y, z, 1), as files do.
 * World     millimetres, RAS+; a voxel's position is that of its centre.
 * Threads   threads may share a volume in const calls; any other call needs exclusive access.
 */
#ifndef VOLT_VOLUME_VOLUME_H
#define VOLT_VOLUME_VOLUME_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

/* Stored on disk (case store): never renumber. BF16 and F16 are for tensors only. */
typedef enum volt_dtype {
    VOLT_AS_STORED = 0, /* in options only: the type of the file or volume at hand */
    VOLT_U8 = 1,
    VOLT_I8 = 2,
    VOLT_U16 = 3,
    VOLT_I16 = 4,
    VOLT_U32 = 5,
    VOLT_I32 = 6,
    VOLT_U64 = 7,
    VOLT_I64 = 8,
    VOLT_F32 = 9,
    VOLT_F64 = 10,
    VOLT_BF16 = 11,
    VOLT_F16 = 12
} volt_dtype;

/* As the ignore label of a data set or loss: none. */
#define VOLT_NO_IGNORE_LABEL (-1)

VOLT_API size_t volt_dtype_bytes(volt_dtype dtype); /* 0 for an unknown value */
/* "uint8", "float32", ...; never NULL. */
VOLT_API const char *volt_dtype_name(volt_dtype dtype);
/* The inverse, but for VOLT_F16. VOLT_EINVAL: another name. */
VOLT_CALL volt_dtype_parse(volt_dtype *out, const char *name);

/* Plain value: copy freely. */
typedef struct volt_grid {
    int64_t n[3];          /* voxels along z, y, x; each >= 1 */
    int32_t channels;      /* >= 1; a label map has 1 */
    double to_world[3][4]; /* voxel index (x,y,z,1) -> mm, RAS+; finite, invertible */
} volt_grid;

typedef struct volt_volume {
    volt_grid grid;
    volt_dtype dtype;
    void *data; /* channels*n[0]*n[1]*n[2] elements; owned */
} volt_volume;

/* VOLT_EINVAL if the grid breaks a rule above or channels * voxels * 8 bytes overflows; the
 * message starts with `what` (a file name). */
VOLT_CALL volt_grid_check(const volt_grid *grid, const char *what);
/* Spacing along z, y, x in mm: the lengths of to_world's columns. */
VOLT_API void volt_grid_spacing(double out[3], const volt_grid *grid);
/* A grid with axis-aligned RAS axes, the given spacing (z, y, x; mm) and voxel (0,0,0) at the
 * origin. */
VOLT_API volt_grid volt_grid_make(const int64_t n[3], int32_t channels,
                                  const double spacing[3]);
/* World position (x, y, z; mm) of a fractional voxel index (z, y, x). */
VOLT_API void volt_grid_world(double out[3], const volt_grid *grid, const double index[3]);
VOLT_API int64_t volt_grid_voxels(const volt_grid *grid); /* of one channel */
/* Equal sizes, and every matrix entry equal within `tolerance` mm. */
VOLT_API bool volt_grid_same(const volt_grid *a, const volt_grid *b, double tolerance);

/* Creates a zero-filled volume. The caller owns *out (volt_volume_free). VOLT_EINVAL: grid or
 * type; VOLT_ENOMEM. */
VOLT_CALL volt_volume_create(volt_volume **out, const volt_grid *grid, volt_dtype dtype);
VOLT_API void volt_volume_free(volt_volume *v); /* NULL is allowed */
VOLT_API size_t volt_volume_bytes(const volt_volume *v);

/* A copy of `src` with another element type. Floats round half to even and saturate when the
 * target is an integer; NaN becomes 0 there. `exact` (NULL allowed) is true if no value
 * changed. The caller owns *out (volt_volume_free). VOLT_EINVAL: type; VOLT_ENOMEM. */
VOLT_CALL volt_volume_convert(volt_volume **out, const volt_volume *src, volt_dtype dtype,
                              bool *exact, int threads);
/* Element 0 <= i < channels * voxels in memory order, of any type, as a double: exact for
 * integers up to 2^53. Convenient for few voxels, slow for many. NaN if the type is unknown. */
VOLT_API double volt_voxel_value(const volt_volume *v, int64_t i);

/* Over all channels; min and max are 0 if no value is finite. */
typedef struct volt_value_range {
    double min, max;    /* of the finite values */
    int64_t not_finite; /* voxels that are NaN or infinite */
} volt_value_range;
VOLT_API volt_value_range volt_volume_range(const volt_volume *v, int threads);

VOLT_END_DECLS
#endif
