#include "io/dataset/case_workers.h"

#include <math.h>

#include "base/mem.h"
#include "base/threads.h"

/* Voxels of a case, before or after resampling, whichever is more; 0: unknown. */
static double largest_voxels(const volt_case *c, const double target[3])
{
    volt_image_header *header = NULL;
    double voxels, spacing[3], growth = 1;
    volt_grid grid;

    if (c->files < 1 || volt_image_info(&header, c->file[0]) != VOLT_OK)
        return 0;
    grid = volt_case_grid(header);
    voxels = (double)volt_grid_voxels(&grid);
    volt_grid_spacing(spacing, &grid);
    volt_image_header_free(header);
    for (int a = 0; target && a < 3; a++)
        growth *= target[a] > 0 ? spacing[a] / target[a] : 1;
    return voxels * fmax(growth, 1);
}

int volt_case_workers(const volt_dataset *ds, double image_copies, double label_bytes,
                      const double target[3], int threads)
{
    const double memory = 0.5 * (double)volt_mem_machine();
    const double each = 4 * image_copies * ds->info.channels + label_bytes;
    double voxels = 0, fit;

    threads = volt_threads_or_default(threads);
    for (int64_t i = 0; i < ds->cases.count; i++)
        voxels = fmax(voxels, largest_voxels(&ds->cases.item[i], target));
    fit = voxels > 0 ? floor(memory / (voxels * each)) : threads;
    return fit < 1 ? 1 : fit < threads ? (int)fit : threads;
}
