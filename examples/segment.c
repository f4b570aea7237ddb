/* segment - segments an array in memory with a trained network.
 *
 * usage: segment RUN IN.raw CHANNELS DEPTH HEIGHT WIDTH SPACING OUT.raw
 *
 * IN.raw holds int16 voxels (channel, z, y, x), x fastest; SPACING is the distance of voxels in
 * mm. OUT.raw gets one label per voxel, uint8. In your program the voxels come from elsewhere:
 * what matters here is main().
 */
#include <stdio.h>
#include <stdlib.h>
#include <volt/volt.h>

/* The whole of `path` in memory that the caller frees; NULL when it does not hold `bytes`. */
static int16_t *read_voxels(const char *path, size_t bytes)
{
    FILE *f = fopen(path, "rb");
    int16_t *voxels = malloc(bytes);

    if (!f || !voxels || fread(voxels, 1, bytes, f) != bytes) {
        free(voxels);
        voxels = NULL;
    }
    if (f)
        fclose(f);
    return voxels;
}

static int write_labels(const char *path, const volt_volume *labels)
{
    FILE *f = fopen(path, "wb");
    size_t bytes = volt_volume_bytes(labels);
    int good = f && fwrite(labels->data, 1, bytes, f) == bytes;

    if (f && fclose(f) != 0)
        good = 0;
    return good;
}

int main(int argc, char **argv)
{
    volt_predictor *predictor = NULL;
    volt_volume image = {0}, *labels = NULL;
    int failed = 1;

    if (argc != 9) {
        fprintf(stderr,
                "usage: segment RUN IN.raw CHANNELS DEPTH HEIGHT WIDTH SPACING OUT.raw\n");
        return 2;
    }
    const int64_t size[3] = {atoll(argv[4]), atoll(argv[5]), atoll(argv[6])}; /* z, y, x */
    const double mm = atof(argv[7]), spacing[3] = {mm, mm, mm};

    /* A volume is a grid, a type and a pointer: it can stand on an array of your own. */
    image.grid = volt_grid_make(size, atoi(argv[3]), spacing);
    image.dtype = VOLT_I16;
    if (volt_grid_check(&image.grid, argv[2]) != VOLT_OK)
        goto volt_failed;
    image.data = read_voxels(argv[2], volt_volume_bytes(&image));
    if (!image.data) {
        fprintf(stderr, "segment: %s does not hold %zu bytes\n", argv[2],
                volt_volume_bytes(&image));
        goto done;
    }

    /* Open once, segment many: the predictor keeps networks and memory. */
    if (volt_predictor_open(&predictor, (const char *const *)&argv[1], 1, NULL, NULL) !=
            VOLT_OK ||
        volt_predictor_run(predictor, &image, &labels, NULL) != VOLT_OK)
        goto volt_failed;

    const volt_dataset_info *info = volt_predictor_info(predictor);
    for (int i = 1; i < info->labels; i++) {
        int64_t voxels = 0;
        for (int64_t v = 0; v < volt_grid_voxels(&labels->grid); v++)
            voxels += volt_voxel_value(labels, v) == info->label[i].value;
        printf("%s: %lld voxel%s\n", info->label[i].name, (long long)voxels,
               voxels == 1 ? "" : "s");
    }
    failed = !write_labels(argv[8], labels);
    if (failed)
        perror(argv[8]);
    goto done;

volt_failed:
    fprintf(stderr, "segment: %s\n", volt_last_error());
done:
    volt_volume_free(labels);
    volt_predictor_free(predictor);
    free(image.data);
    return failed;
}
