#include "apps/cli/dataset_options.h"

#include <stdio.h>

volt_status cli_dataset_take(volt_dataset_options *out, const char **folder, cli *c,
                             cli_dataset *d)
{
    static const volt_dataset_target target[] = {VOLT_TARGET_REGIONS, VOLT_TARGET_LABELS};
    volt_dataset_options o = volt_dataset_defaults();

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
    if (c->args_count > 0) {
        const volt_status st = cli_check_dataset(c->args[0]);
        if (st != VOLT_OK)
            return st;
    }
    if (d->target >= 0)
        o.target = target[d->target];
    if (d->thresholds.count) {
        o.threshold = d->thresholds.v;
        o.thresholds = d->thresholds.count;
    }
    *out = o;
    *folder = c->args_count > 0 ? c->args[0] : NULL;
    return VOLT_OK;
}

volt_status cli_dataset_open(volt_dataset **out, cli *c, cli_dataset *d)
{
    volt_dataset_options options;
    const char *folder = NULL;
    volt_status st = cli_dataset_take(&options, &folder, c, d);

    return st == VOLT_OK ? volt_dataset_open(out, folder, &options) : st;
}

volt_status cli_dataset_need_cases(const volt_dataset *ds)
{
    if (ds->cases.count + ds->tests.count > 0)
        return VOLT_OK;
    return volt_fail(VOLT_EDATA, "%s (%s) has no case", ds->folder, ds->layout);
}

void cli_dataset_print_notes(const cli *c, const volt_dataset *ds)
{
    char remedy[CLI_REMEDY_ROOM];

    for (int64_t i = 0; i < ds->notes; i++)
        printf("note: %s%s\n", ds->note[i], cli_remedy(remedy, c, ds->note[i]));
}
