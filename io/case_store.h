/* case_store.h - preprocessed cases, each in one memory-mapped file.
 *
 * Layout, version 2. All numbers little-endian; offsets are from the start of the file.
 *
 *   at  bytes  field
 *    0      8  magic "VOLTCASE"
 *    8      4  u32 version = 2
 *   12      4  u32 header bytes H: 512 + 32 * classes
 *   16      8  u64 file bytes
 *   24      8  u64 key: a hash of the plan and the source files
 *   32      4  u32 channels C; 0 only with labels: a cascade's prior mask
 *   36      4  u32 label type: 2 int8, 4 int16 (volt_dtype), 0 no labels
 *   40     24  i64 shape D, H, W >= 1
 *   64      8  u64 offset of data: float32 (C, D, H, W), W fastest
 *   72      8  u64 offset of labels: (D, H, W); 0 without labels
 *   80     24  f64 spacing of D, H, W in mm, > 0
 *  104     24  i64 extents n of the source grid along z, y, x
 *  128     96  f64 to_world of the source grid, 3 rows of 4 (volt_grid)
 *  224     12  u32 transpose_forward: source axis (0 z, 1 y, 2 x) of D, H, W
 *  236      4  u32 classes K
 *  240     48  i64 crop box low[3], high[3] in the transposed source grid
 *  288      4  u32 CRC-32 of data and labels together, as stored
 *  292    212  zero
 *  504      4  u32 zero
 *  508      4  u32 CRC-32 of the header's H bytes with this field as zero
 *  512   32 K  per class: i32 label, u32 CRC-32 of its L locations as stored, u64 voxels of
 *              the class, u64 stored locations L <= voxels, u64 offset of L u64 voxel indices
 *              (d*H + h)*W + w, ascending
 *
 * Blocks (data, labels, locations) start at multiples of 64, lie inside the file and do not
 * overlap the header. Files appear whole or not at all. Version 1 had no CRC of the locations;
 * such files are refused, and preprocessing replaces them.
 *
 * Hostile   every number above and the locations are checked on opening. The voxels are
 *           covered by a CRC that only volt_stored_case_verify reads.
 * Threads   an open case is read-only and may be shared; different files may be written at the
 *           same time.
 */
#ifndef VOLT_IO_CASE_STORE_H
#define VOLT_IO_CASE_STORE_H
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "../volume/box.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

#define VOLT_CASE_SUFFIX ".voltcase"

/* Voxels of one class, for foreground oversampling. */
typedef struct volt_class_locations {
    int32_t label;
    int64_t voxels;           /* in the whole case */
    int64_t count;            /* locations stored, <= voxels */
    const uint64_t *location; /* (d*H + h)*W + w, ascending */
} volt_class_locations;

/* The content of a case file. In a case from volt_stored_case_open the pointers lead into the
 * mapped file: read-only, valid until volt_stored_case_close. */
typedef struct volt_stored_case {
    uint64_t key;
    int channels;
    int64_t shape[3];         /* d, h, w */
    double spacing[3];        /* mm, along d, h, w */
    const float *data;        /* (C, D, H, W); NULL when C is 0 */
    volt_dtype label_dtype;   /* VOLT_I8 or VOLT_I16; 0 without labels */
    const void *labels;       /* (D, H, W); -1 = outside the non-zero mask; NULL: none */
    volt_grid source;         /* of the source image; channels = C, 1 when C is 0 */
    int transpose_forward[3]; /* source axis (0 z, 1 y, 2 x) of d, h, w */
    volt_box crop;            /* in the transposed source grid */
    int classes;
    const volt_class_locations *locations; /* `classes` entries */
} volt_stored_case;

/* Maps `path`. The caller owns *out (volt_stored_case_close). VOLT_EIO; VOLT_EFORMAT names the
 * field and its value. */
VOLT_CALL volt_stored_case_open(const volt_stored_case **out, const char *path);
VOLT_API void volt_stored_case_close(const volt_stored_case *c); /* NULL is allowed */
/* Reads all voxels: the CRC must match and the data be finite. VOLT_EFORMAT. */
VOLT_CALL volt_stored_case_verify(const volt_stored_case *c);

VOLT_END_DECLS
#endif
