/* nifti_slices.c - slice timing and encoding directions on another grid. */
#include <math.h>
#include <string.h>

#include "io/image/nifti_raw.h"

/* Which axis of a source an axis of a new grid runs along. */
typedef struct match {
    int axis; /* of the source, x y z; -1: none */
    bool reversed;
} match;

static double dot(const volt_grid *a, int i, const volt_grid *b, int j)
{
    double sum = 0;

    for (int r = 0; r < 3; r++)
        sum += a->to_world[r][i] * b->to_world[r][j];
    return sum;
}

static match match_axis(const volt_grid *new, int axis, const volt_grid *old)
{
    for (int s = 0; s < 3; s++) {
        const double cosine =
            dot(new, axis, old, s) / sqrt(dot(new, axis, new, axis) * dot(old, s, old, s));
        if (fabs(cosine) > 1 - 1e-9)
            return (match){s, cosine < 0};
    }
    return (match){-1, false};
}

/* The slices of the new axis `a` are those of the source's axis m.axis. */
static bool same_slices(const volt_grid *new, int a, const volt_grid *old, match m)
{
    const double old_mm = sqrt(dot(old, m.axis, old, m.axis));
    const double new_mm = sqrt(dot(new, a, new, a));
    const int64_t n = old->n[2 - m.axis];
    double along = 0; /* the new origin in steps of the source's axis, if axes are at right
                       * angles */

    if (n != new->n[2 - a] || fabs(new_mm - old_mm) > 1e-6 * old_mm)
        return false;
    for (int r = 0; r < 3; r++)
        along += (new->to_world[r][3] - old->to_world[r][3]) * old->to_world[r][m.axis];
    along /= old_mm * old_mm;
    return fabs(along - (m.reversed ? (double)(n - 1) : 0)) < 1e-3;
}

/* The order in which slices are taken, seen from the other side. */
static int reversed_code(int code)
{
    static const int other[7] = {NIFTI_SLICE_UNKNOWN, NIFTI_SLICE_SEQ_DEC, NIFTI_SLICE_SEQ_INC,
                                 NIFTI_SLICE_ALT_DEC, NIFTI_SLICE_ALT_INC, NIFTI_SLICE_ALT_DEC2,
                                 NIFTI_SLICE_ALT_INC2};

    return code >= 0 && code < 7 ? other[code] : NIFTI_SLICE_UNKNOWN;
}

static void clear_timing(nifti_2_header *h)
{
    h->slice_code = NIFTI_SLICE_UNKNOWN;
    h->slice_start = h->slice_end = 0;
    h->slice_duration = 0;
}

static void move_timing(nifti_2_header *h, const volt_grid *grid,
                        const volt_image_header *source, const match *axes)
{
    const int slices = DIM_INFO_TO_SLICE_DIM(source->raw->h.dim_info);
    const int wanted = slices > 0 ? slices - 1 : 2; /* z, if the file does not say */

    for (int a = 0; a < 3; a++) {
        const int64_t last = grid->n[2 - a] - 1;
        if (axes[a].axis != wanted)
            continue;
        if (!same_slices(grid, a, &source->grid, axes[a]) || (slices == 0 && a != 2))
            break;
        if (axes[a].reversed && (h->slice_code != 0 || h->slice_end != 0)) {
            const int64_t start = h->slice_start;
            h->slice_code = reversed_code(h->slice_code);
            h->slice_start = last - h->slice_end;
            h->slice_end = last - start;
        }
        return;
    }
    clear_timing(h);
}

void volt_nifti_move_slices(nifti_2_header *h, const volt_grid *grid,
                            const volt_image_header *source)
{
    const int info = (unsigned char)source->raw->h.dim_info;
    const int old[3] = {DIM_INFO_TO_FREQ_DIM(info), DIM_INFO_TO_PHASE_DIM(info),
                        DIM_INFO_TO_SLICE_DIM(info)};
    int new[3] = {0, 0, 0};
    match axes[3];
    bool all = true;

    for (int a = 0; a < 3; a++) {
        axes[a] = match_axis(grid, a, &source->grid);
        all = all && axes[a].axis >= 0;
        for (int k = 0; k < 3; k++) {
            if (axes[a].axis >= 0 && old[k] == axes[a].axis + 1)
                new[k] = a + 1;
        }
    }
    h->dim_info = all ? (char)FPS_INTO_DIM_INFO(new[0], new[1], new[2]) : 0;
    if (all)
        move_timing(h, grid, source, axes);
    else
        clear_timing(h);
}
