/* resample - reads an image of any format, resamples it to cubic voxels, and writes it.
 *
 * usage: resample IN OUT SPACING      (mm)
 */
#include <stdio.h>
#include <stdlib.h>
#include <volt/volt.h>

int main(int argc, char **argv)
{
    volt_image_read_options as_float = volt_image_read_defaults();
    volt_volume *image = NULL, *resampled = NULL;
    volt_image_header *header = NULL;
    double spacing[3], wanted[3];
    int64_t shape[3];
    volt_status st;

    if (argc != 4) {
        fprintf(stderr, "usage: resample IN OUT SPACING\n");
        return 2;
    }
    as_float.dtype = VOLT_F32;
    VOLT_TRY(st, done, volt_image_read(&image, &header, argv[1], &as_float));

    /* Axes are z, y, x everywhere. */
    volt_grid_spacing(spacing, &image->grid);
    wanted[0] = wanted[1] = wanted[2] = atof(argv[3]);
    VOLT_TRY(st, done, volt_resample_shape(shape, image->grid.n, spacing, wanted));
    VOLT_TRY(st, done,
             volt_resample_image(&resampled, image, shape, VOLT_CUBIC,
                                 volt_resample_separate_axis(spacing, wanted), 0));

    /* The file's header goes along: description, units, how the position is given. */
    VOLT_TRY(st, done, volt_image_write(argv[2], resampled, header, NULL));
    printf("%lld x %lld x %lld voxels\n", (long long)shape[2], (long long)shape[1],
           (long long)shape[0]);
done:
    if (st != VOLT_OK)
        fprintf(stderr, "resample: %s\n", volt_last_error());
    volt_volume_free(resampled);
    volt_volume_free(image);
    volt_image_header_free(header);
    return st != VOLT_OK;
}
