/* volt_augment_describe: a draw in words. */
#include "volume/augment/augment_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define DEGREES 57.29577951308232

/* A text that is appended to until it is full. */
typedef struct words {
    char *out;
    size_t bytes, used;
} words;

static void say(words *w, const char *format, ...) VOLT_PRINTF(2, 3);
static void say(words *w, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = vsnprintf(w->out + w->used, w->bytes - w->used, format, args);
    va_end(args);
    w->used += length > 0 ? (size_t)length : 0;
    w->used = w->used < w->bytes ? w->used : w->bytes - 1;
}

static void next(words *w, const char *what)
{
    say(w, "%s%s", w->used ? ", " : "", what);
}

static void say_spatial(words *w, const volt_augment_rules *r, const volt_augment_draw *d)
{
    const double(*m)[3] = d->matrix;
    const double scale =
        sqrt(m[0][2] * m[0][2] + m[1][2] * m[1][2] + m[2][2] * m[2][2]); /* of a column */
    const double angle[3] = {atan2(m[2][1], m[2][2]), asin(fmax(-1, fmin(1, -m[2][0] / scale))),
                             atan2(m[1][0], m[0][0])};

    if (!d->spatial)
        return;
    if (fabs(angle[0]) + fabs(angle[1]) + fabs(angle[2]) > 1e-6) {
        next(w, "rotated");
        for (int a = 0; a < (r->in_plane ? 1 : 3); a++)
            say(w, " %.0f", rint(angle[a] * DEGREES) + 0.0); /* no -0 */
        say(w, " degrees");
    }
    if (fabs(scale - 1) > 1e-6) {
        next(w, "scaled");
        say(w, " %.2f", 1 / scale);
    }
}

/* One value per channel, "-" where nothing happens; nothing at all if no channel changes. */
static void say_channels(words *w, const char *what, const double *value, int32_t channels,
                         double none)
{
    bool any = false;

    for (int32_t c = 0; c < channels; c++)
        any = any || value[c] != none;
    if (!any)
        return;
    next(w, what);
    for (int32_t c = 0; c < channels; c++) {
        if (value[c] == none)
            say(w, " -");
        else
            say(w, " %.2f", value[c]);
    }
}

void volt_augment_describe(char *out, size_t bytes, const volt_augment_rules *rules,
                           const volt_augment_draw *d)
{
    const volt_augment_rules known = volt_augment_rules_known(rules), *r = &known;
    static const struct {
        const char *what;
        size_t at;
        double none;
    } kinds[] = {
        {"blurred", offsetof(volt_augment_channel, blur_sigma[2]), 0},
        {"brightness", offsetof(volt_augment_channel, brightness), 1},
        {"contrast", offsetof(volt_augment_channel, contrast), 1},
        {"resolution", offsetof(volt_augment_channel, low_resolution), 1},
        {"inverted gamma", offsetof(volt_augment_channel, gamma_inverted), 0},
        {"gamma", offsetof(volt_augment_channel, gamma), 0},
    };
    words w = {out, bytes, 0};

    say_spatial(&w, r, d);
    if (d->noise_sd > 0) {
        next(&w, "noise");
        say(&w, " %.3f", d->noise_sd);
    }
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        double value[VOLT_AUGMENT_MAX_CHANNELS];

        for (int32_t c = 0; c < r->channels; c++)
            value[c] = *(const double *)((const char *)&d->channel[c] + kinds[k].at);
        say_channels(&w, kinds[k].what, value, r->channels, kinds[k].none);
    }
    if (d->mirror[0] || d->mirror[1] || d->mirror[2]) {
        next(&w, "mirrored");
        for (int a = 0; a < 3; a++) {
            if (d->mirror[a])
                say(&w, " %c", "zyx"[a]);
        }
    }
    if (w.used == 0)
        say(&w, "unchanged");
}
