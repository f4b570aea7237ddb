#include "volume/volume.h"

#include <math.h>
#include <string.h>

#include "base/core/checked.h"
#include "base/core/alloc.h"
#include "base/threads.h"

static const struct {
    const char *name;
    size_t bytes;
} dtypes[] = {
    [VOLT_U8] = {"uint8", 1},    [VOLT_I8] = {"int8", 1},       [VOLT_U16] = {"uint16", 2},
    [VOLT_I16] = {"int16", 2},   [VOLT_U32] = {"uint32", 4},    [VOLT_I32] = {"int32", 4},
    [VOLT_U64] = {"uint64", 8},  [VOLT_I64] = {"int64", 8},     [VOLT_F32] = {"float32", 4},
    [VOLT_F64] = {"float64", 8}, [VOLT_BF16] = {"bfloat16", 2}, [VOLT_F16] = {"float16", 2}};

static bool dtype_known(volt_dtype dtype)
{
    return (int)dtype >= VOLT_U8 && (int)dtype <= VOLT_F16;
}

size_t volt_dtype_bytes(volt_dtype dtype)
{
    return dtype_known(dtype) ? dtypes[dtype].bytes : 0;
}

const char *volt_dtype_name(volt_dtype dtype)
{
    return dtype_known(dtype) ? dtypes[dtype].name : "unknown type";
}

volt_status volt_dtype_parse(volt_dtype *out, const char *name)
{
    for (int i = VOLT_U8; i <= VOLT_BF16; i++) {
        if (strcmp(name, dtypes[i].name) == 0) {
            *out = (volt_dtype)i;
            return VOLT_OK;
        }
    }
    return volt_fail(
        VOLT_EINVAL,
        "'%s' is not an element type: expected uint8, int8, uint16, int16, uint32, "
        "int32, uint64, int64, float32 or float64",
        name);
}

/* Determinant of the columns scaled to length 1: the volume their directions span. */
static double unit_determinant(const volt_grid *g)
{
    double m[3][3], spacing[3];

    volt_grid_spacing(spacing, g);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++)
            m[r][c] = g->to_world[r][c] / spacing[2 - c];
    }
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) -
           m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

volt_status volt_grid_check(const volt_grid *grid, const char *what)
{
    static const char axis[3] = {'z', 'y', 'x'};
    size_t bytes;
    double spacing[3];

    for (int i = 0; i < 3; i++) {
        if (grid->n[i] < 1)
            return volt_fail(VOLT_EINVAL, "%s: %lld voxels along %c, expected 1 or more", what,
                             (long long)grid->n[i], axis[i]);
    }
    if (grid->channels < 1)
        return volt_fail(VOLT_EINVAL, "%s: %d channels, expected 1 or more", what,
                         (int)grid->channels);
    if (volt_extent_bytes(&bytes, grid->n, 3, 8 * (size_t)grid->channels) ||
        bytes > PTRDIFF_MAX)
        return volt_fail(VOLT_EINVAL, "%s: %d x %lld x %lld x %lld voxels are too many", what,
                         (int)grid->channels, (long long)grid->n[0], (long long)grid->n[1],
                         (long long)grid->n[2]);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            if (!isfinite(grid->to_world[r][c]))
                return volt_fail(VOLT_EINVAL,
                                 "%s: row %d, column %d of the voxel-to-world matrix is %g",
                                 what, r + 1, c + 1, grid->to_world[r][c]);
        }
    }
    volt_grid_spacing(spacing, grid);
    for (int i = 0; i < 3; i++) {
        if (!(spacing[i] > 0) || !isfinite(spacing[i]))
            return volt_fail(VOLT_EINVAL, "%s: spacing along %c is %g mm", what, axis[i],
                             spacing[i]);
    }
    if (!(fabs(unit_determinant(grid)) > 1e-6))
        return volt_fail(VOLT_EINVAL,
                         "%s: the voxel-to-world matrix is singular: its axes lie "
                         "in one plane",
                         what);
    return VOLT_OK;
}

void volt_grid_spacing(double out[3], const volt_grid *grid)
{
    for (int i = 0; i < 3; i++)
        out[2 - i] =
            hypot(hypot(grid->to_world[0][i], grid->to_world[1][i]), grid->to_world[2][i]);
}

volt_grid volt_grid_make(const int64_t n[3], int32_t channels, const double spacing[3])
{
    volt_grid g = {.n = {n[0], n[1], n[2]}, .channels = channels};

    for (int i = 0; i < 3; i++)
        g.to_world[i][i] = spacing[2 - i];
    return g;
}

void volt_grid_world(double out[3], const volt_grid *grid, const double index[3])
{
    for (int r = 0; r < 3; r++) {
        const double *row = grid->to_world[r];
        out[r] = row[0] * index[2] + row[1] * index[1] + row[2] * index[0] + row[3];
    }
}

int64_t volt_grid_voxels(const volt_grid *grid)
{
    return grid->n[0] * grid->n[1] * grid->n[2];
}

bool volt_grid_same(const volt_grid *a, const volt_grid *b, double tolerance)
{
    for (int i = 0; i < 3; i++) {
        if (a->n[i] != b->n[i])
            return false;
        for (int j = 0; j < 4; j++) {
            if (!(fabs(a->to_world[i][j] - b->to_world[i][j]) <= tolerance))
                return false;
        }
    }
    return true;
}

volt_status volt_volume_create(volt_volume **out, const volt_grid *grid, volt_dtype dtype)
{
    volt_volume *v = NULL;
    volt_status st;

    if (!dtype_known(dtype) || dtype >= VOLT_BF16)
        return volt_fail(VOLT_EINVAL, "a volume cannot hold elements of type %d (%s)",
                         (int)dtype, volt_dtype_name(dtype));
    VOLT_TRY(st, done, volt_grid_check(grid, "volume"));
    VOLT_TRY(st, done, volt_alloc_zero(&v, 1, sizeof *v, "a volume"));
    v->grid = *grid;
    v->dtype = dtype;
    VOLT_TRY(st, done, volt_alloc_zero(&v->data, volt_volume_bytes(v), 1, "a volume's voxels"));
    *out = v;
    v = NULL;
done:
    volt_volume_free(v);
    return st;
}

void volt_volume_free(volt_volume *v)
{
    if (v) {
        volt_free(v->data);
        volt_free(v);
    }
}

size_t volt_volume_bytes(const volt_volume *v)
{
    return (size_t)volt_grid_voxels(&v->grid) * (size_t)v->grid.channels *
           volt_dtype_bytes(v->dtype);
}
