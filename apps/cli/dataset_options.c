#include "apps/cli/dataset_options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static volt_status take_thresholds(volt_dataset_options *out, cli_dataset *d)
{
    const char *p = d->thresholds;
    char *end;

    for (;;) {
        const char *digits = p + (*p == '-');
        if (out->thresholds == CLI_THRESHOLDS_MAX)
            return volt_fail(VOLT_EINVAL, "--label-thresholds: more than %d thresholds",
                             CLI_THRESHOLDS_MAX);
        if (!isdigit((unsigned char)*digits) || tolower((unsigned char)digits[1]) == 'x')
            break;
        d->threshold[out->thresholds++] = strtod(p, &end);
        if (*end == '\0') {
            out->threshold = d->threshold;
            return VOLT_OK;
        }
        if (*end != ',')
            break;
        p = end + 1;
    }
    return volt_fail(VOLT_EINVAL,
                     "--label-thresholds: '%s' is not a list of numbers such as 40,230",
                     d->thresholds);
}

volt_status cli_dataset_take(volt_dataset_options *out, const char **folder, cli *c,
                             cli_dataset *d)
{
    static const volt_dataset_target target[] = {VOLT_TARGET_REGIONS, VOLT_TARGET_LABELS};
    volt_dataset_options o = volt_dataset_defaults();
    volt_status st = VOLT_OK;

    o.layout = d->layout;
    o.images = d->images;
    o.labels = d->labels;
    o.channel_names = d->channels;
    o.label_table = d->table;
    o.label_flip = d->flip;
    o.resample_channels = d->resample_channels;
    o.allow_shift = d->allow_shift;
    o.allow_outside = d->allow_outside;
    o.threads = (int)c->threads;
    o.callbacks = &c->callbacks;
    if (c->args_count == 0 && !d->images && !d->labels)
        return volt_fail(VOLT_EINVAL, "too few arguments; usage: volt %s [options] %s",
                         c->command->name, c->command->args);
    if (c->args_count > 0 && (d->images || d->labels))
        return volt_fail(VOLT_EINVAL, "%s: give DATASET or --images and --labels, not both",
                         c->args[0]);
    if (d->target >= 0)
        o.target = target[d->target];
    if (d->thresholds)
        st = take_thresholds(&o, d);
    if (st == VOLT_OK) {
        *out = o;
        *folder = c->args_count > 0 ? c->args[0] : NULL;
    }
    return st;
}

volt_status cli_dataset_open(volt_dataset **out, cli *c, cli_dataset *d)
{
    volt_dataset_options options;
    const char *folder;
    volt_status st = cli_dataset_take(&options, &folder, c, d);

    return st == VOLT_OK ? volt_dataset_open(out, folder, &options) : st;
}

void cli_dataset_print_notes(const cli *c, const volt_dataset *ds)
{
    for (int64_t i = 0; i < ds->notes; i++) {
        const char *remedy = cli_remedy(c, ds->note[i]);

        printf("note: %s%s%s\n", ds->note[i], remedy ? "; " : "", remedy ? remedy : "");
    }
}
