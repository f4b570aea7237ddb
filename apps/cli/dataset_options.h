/* dataset_options.h - the options of every command that takes a DATASET: a struct in the
 * command's own, CLI_DATASET_OPTIONS in its table, and one call. */
#ifndef VOLT_APPS_DATASET_OPTIONS_H
#define VOLT_APPS_DATASET_OPTIONS_H
#include "apps/cli/cli.h"
#include "io/dataset.h"

typedef struct cli_dataset {
    const char *layout, *images, *labels, *table, *flip, *channels;
    cli_list thresholds;
    int target; /* 0 regions, 1 labels, -1 not asked for */
    bool resample_channels, allow_shift, allow_outside;
} cli_dataset;

/* How DATASET is written in a command's args; min_args is 0 with it, max_args 1. */
#define CLI_DATASET_ARGS "DATASET"

/* clang-format off */
#define CLI_DATASET_OPTIONS(type, field) \
    {"--layout", 0, CLI_TEXT, offsetof(type, field.layout), "NAME", NULL, 0, 0, \
     "data set layout: nnunet, decathlon, brats, brats2023, brats2024, brats-ped2024, " \
     "brats-men-rt or lits [detected]"}, \
    {"--images", 0, CLI_TEXT, offsetof(type, field.images), "DIR", NULL, 0, 0, \
     "folder of images, instead of DATASET"}, \
    {"--labels", 0, CLI_TEXT, offsetof(type, field.labels), "DIR", NULL, 0, 0, \
     "folder of label files with matching names"}, \
    {"--channels", 0, CLI_TEXT, offsetof(type, field.channels), "NAME,...", NULL, 0, 0, \
     "channel names; a channel named CT is normalized as CT"}, \
    {"--label-table", 0, CLI_TEXT, offsetof(type, field.table), "V=NAME,...", NULL, 0, 0, \
     "label values in the files and their names, background first"}, \
    {"--label-thresholds", 0, CLI_REALS, offsetof(type, field.thresholds), "A[,B,...]", NULL, \
     0, 0, "label files hold grey values: label 1 from A, label 2 from B, ..."}, \
    {"--label-flip", 0, CLI_TEXT, offsetof(type, field.flip), "AXES", NULL, 0, 0, \
     "axes (of xyz) along which PNG label files are reversed"}, \
    {"--target", 0, CLI_CHOICE, offsetof(type, field.target), "regions|labels", NULL, 0, 0, \
     "train on nested regions or on labels [the layout's default]"}, \
    {"--resample-channels", 0, CLI_FLAG, offsetof(type, field.resample_channels), NULL, NULL, \
     0, 0, "resample a case's channels to the grid of the first where they differ"}, \
    {"--allow-shift", 0, CLI_FLAG, offsetof(type, field.allow_shift), NULL, NULL, 0, 0, \
     "accept labels and channels more than a voxel away from their image"}, \
    {"--allow-outside", 0, CLI_FLAG, offsetof(type, field.allow_outside), NULL, NULL, 0, 0, \
     "accept paths in dataset.json that leave the data set's folder"}
/* clang-format on */

/* Opens the data set that was asked for; `d` must outlive it. */
volt_status cli_dataset_open(volt_dataset **out, cli *c, cli_dataset *d);
/* VOLT_EDATA: nothing to train on and nothing to predict. */
volt_status cli_dataset_need_cases(const volt_dataset *ds);
/* Prints one line for each note on an irregularity. */
void cli_dataset_print_notes(const cli *c, const volt_dataset *ds);
/* What was asked for; *out borrows from `d`. *folder is DATASET, NULL with --images.
 * VOLT_EINVAL when there is neither or both. */
volt_status cli_dataset_take(volt_dataset_options *out, const char **folder, cli *c,
                             cli_dataset *d);

#endif
