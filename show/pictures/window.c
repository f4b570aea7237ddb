#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/core/alloc.h"
#include "show/render.h"
#include "show/pictures/view.h"

enum { BINS = 8192 };

/* CT windows in HU, as radiology departments commonly set them. */
static const struct {
    const char *name;
    double window[2];
} presets[] = {
    {"soft", {-160, 240}}, {"lung", {-1350, 150}}, {"bone", {-450, 1050}},
    {"brain", {0, 80}},    {"liver", {-40, 160}},
};

volt_status volt_window_parse(double window[2], const char *text)
{
    char *end = NULL;
    double low, high;

    for (size_t i = 0; i < sizeof presets / sizeof presets[0]; i++) {
        if (strcmp(text, presets[i].name) == 0) {
            memcpy(window, presets[i].window, sizeof presets[i].window);
            return VOLT_OK;
        }
    }
    low = strtod(text, &end);
    if (end != text && *end == ',') {
        const char *second = end + 1;

        high = strtod(second, &end);
        if (end != second && *end == '\0' && isfinite(low) && isfinite(high) && low < high) {
            window[0] = low;
            window[1] = high;
            return VOLT_OK;
        }
    }
    return volt_fail(
        VOLT_EINVAL,
        "window '%s' is not LOW,HIGH with LOW < HIGH, nor one of soft, lung, bone, "
        "brain, liver",
        text);
}

/* Smallest and largest finite value of a channel that is not 0; false without any. */
static bool value_range(double *low, double *high, const volt_volume *image, int64_t base,
                        int64_t voxels)
{
    *low = INFINITY;
    *high = -INFINITY;
    for (int64_t i = 0; i < voxels; i++) {
        double v = volt_voxel_value(image, base + i);

        if (isfinite(v) && v != 0) {
            *low = fmin(*low, v);
            *high = fmax(*high, v);
        }
    }
    return *low <= *high;
}

/* The value below which `fraction` of the counted values lie. */
static double percentile(const int64_t *bins, int64_t total, double fraction, double low,
                         double step)
{
    double wanted = fraction * (double)total;
    int64_t sum = 0;
    int i = 0;

    while (i < BINS - 1 && (double)(sum + bins[i]) < wanted)
        sum += bins[i++];
    return low + step * (i + 0.5);
}

volt_status volt_window_choose(double window[2], const volt_volume *image, int32_t channel)
{
    int64_t voxels = volt_grid_voxels(&image->grid), base = channel * voxels, total = 0;
    int64_t *bins = NULL;
    double low, high, step;
    volt_status st;

    if (!value_range(&low, &high, image, base, voxels) || low == high) {
        window[0] = 0;
        window[1] = 1;
        return VOLT_OK;
    }
    if (low < -500 && high > 200) {
        memcpy(window, presets[0].window, sizeof presets[0].window);
        return VOLT_OK;
    }
    st = volt_alloc_zero(&bins, BINS, sizeof *bins, "histogram");
    if (st != VOLT_OK)
        return st;
    step = (high - low) / BINS;
    for (int64_t i = 0; i < voxels; i++) {
        double v = volt_voxel_value(image, base + i);

        if (isfinite(v) && v != 0) {
            int64_t bin = (int64_t)((v - low) / step);

            bins[bin < BINS ? bin : BINS - 1]++;
            total++;
        }
    }
    window[0] = percentile(bins, total, 0.01, low, step);
    window[1] = percentile(bins, total, 0.995, low, step);
    if (!(window[1] > window[0]))
        window[1] = high > window[0] ? high : window[0] + 1;
    volt_free(bins);
    return VOLT_OK;
}
