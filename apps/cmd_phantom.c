#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "apps/cli/cli.h"
#include "apps/phantom_layout.h"
#include "base/core/report.h"
#include "base/system/file.h"
#include "base/system/owner.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/dataset.h"
#include "io/image.h"
#include "volume/phantom.h"

enum { CHANNELS_MAX = 8, LABELS_MAX = 8 };

typedef struct phantom_options {
    int64_t cases, size, seed;
    int layout;
    bool brats_labels;
} phantom_options;

static const cli_option options[] = {
    {"--cases", 0, CLI_INT, offsetof(phantom_options, cases), "N", "20", 1, 99999,
     "number of cases"},
    {"--size", 0, CLI_INT, offsetof(phantom_options, size), "N", "64", 16, 1024,
     "voxels along the longest axis"},
    {"--seed", 0, CLI_INT, offsetof(phantom_options, seed), "S", "1", 0, 9e15,
     "random seed; the same seed gives the same voxels"},
    {"--layout", 0, CLI_CHOICE, offsetof(phantom_options, layout), PHANTOM_LAYOUTS, "nnunet", 0,
     0,
     "nnunet: nnU-Net raw; brats, lits: folders and file names as distributed; grey: label "
     "files with grey values; png: one slice per case as pictures"},
    {"--brats-labels", 0, CLI_FLAG, offsetof(phantom_options, brats_labels), NULL, NULL, 0, 0,
     "brats: number the labels 1, 2, 4 as BraTS does, not 1, 2, 3"},
};

/* In the order of phantom_layout. */
static const char *const layout_option[] = {"", " --layout brats", " --layout lits",
                                            " --layout grey", " --layout png"};

/* What an unfinished data set is: written first, removed last. */
#define UNFINISHED ".volt-phantom"

static volt_status describe(char **out, const phantom_target *t, const phantom_options *o)
{
    return volt_format(out, "volt phantom %s --cases %lld --size %lld --seed %lld%s%s\n",
                       volt_phantom_name(t->kind), (long long)o->cases, (long long)o->size,
                       (long long)o->seed, layout_option[t->layout],
                       o->brats_labels ? " --brats-labels" : "");
}

/* Begins the data set, or continues it: after an interruption the same command writes the files
 * that are missing. Any other content of the folder would mix with it. */
static volt_status begin(const char *folder, const char *description)
{
    volt_names names = {0};
    char *path = NULL, *text = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_path_join(&path, folder, UNFINISHED));
    if (volt_path_exists(path)) {
        VOLT_TRY(st, done, volt_read_file(&text, NULL, path, 4096));
        if (strcmp(text, description) == 0)
            goto done;
        text[strcspn(text, "\n")] = '\0';
        st = volt_fail(VOLT_EDATA,
                       "%s holds an unfinished data set of '%s': give the same options to "
                       "continue, or remove it",
                       folder, text);
        goto done;
    }
    if (volt_path_exists(folder))
        VOLT_TRY(st, done, volt_list_dir(&names, folder));
    if (names.count > 0)
        st = volt_fail(VOLT_EDATA, "%s is not empty: it holds %s; give an empty or new folder",
                       folder, names.name[0]);
    else
        st = volt_write_file(path, description, strlen(description));
done:
    volt_free(text);
    volt_free(path);
    volt_names_free(&names);
    return st;
}

/* The data set is complete. */
static volt_status end(const char *folder)
{
    char *path = NULL;
    volt_status st = volt_path_join(&path, folder, UNFINISHED);

    if (st == VOLT_OK && unlink(path) != 0)
        st = volt_fail(VOLT_EIO, "cannot remove %s: %s", path, strerror(errno));
    volt_free(path);
    return st;
}

/* After a failure: what has no file yet is no data set to continue. */
static void forget_if_empty(const char *folder)
{
    volt_names names = {0};

    if (volt_list_dir(&names, folder) == VOLT_OK && names.count == 1 &&
        strcmp(names.name[0], UNFINISHED) == 0)
        (void)end(folder);
    volt_names_free(&names);
}

/* dataset.json is written last: a folder without it is not a data set. */
static volt_status write_info(const phantom_target *t, const phantom_options *o)
{
    static const volt_label brats_numbering[] = {
        {"background", 0}, {"core", 1}, {"oedema", 2}, {"enhancing", 4}};
    char *channel[CHANNELS_MAX], *path = NULL;
    volt_label label[LABELS_MAX];
    volt_dataset_info info = {.channel_name = channel,
                              .label = label,
                              .ignore_label = VOLT_NO_IGNORE_LABEL,
                              .file_ending = ".nii.gz",
                              .num_training = o->cases};
    volt_status st;

    phantom_layout_describe(&info, t);
    while (info.channels < CHANNELS_MAX && volt_phantom_channel(t->kind, info.channels)) {
        channel[info.channels] = (char *)volt_phantom_channel(t->kind, info.channels);
        info.channels++;
    }
    while (info.labels < LABELS_MAX && volt_phantom_label(t->kind, info.labels)) {
        label[info.labels].name = (char *)volt_phantom_label(t->kind, info.labels);
        label[info.labels].value = info.labels;
        info.labels++;
    }
    if (t->kind == VOLT_PHANTOM_BRATS && t->brats_labels) {
        for (int i = 0; i < info.labels; i++)
            label[i] = brats_numbering[i];
    }
    VOLT_TRY(st, done, volt_format(&info.name, "phantom_%s", volt_phantom_name(t->kind)));
    VOLT_TRY(st, done, volt_path_join(&path, t->folder, "dataset.json"));
    st = volt_dataset_info_write(path, &info);
done:
    volt_free(path);
    volt_free(info.name);
    return st;
}

static volt_phantom_options options_of(const cli *c, const phantom_target *t, int64_t number)
{
    const phantom_options *o = c->options;
    volt_phantom_options make = volt_phantom_defaults();

    make.kind = t->kind;
    make.width = o->size;
    make.seed = (uint64_t)o->seed;
    make.number = number;
    make.brats_labels = t->brats_labels;
    make.threads = (int)c->threads;
    return make;
}

static volt_status make_case(cli *c, const phantom_target *t, int64_t number)
{
    const volt_phantom_options make = options_of(c, t, number);
    volt_volume *image = NULL, *labels = NULL;
    char *last = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_check_cancelled(&c->callbacks));
    VOLT_TRY(st, done, phantom_label_path(&last, t, number));
    if (volt_path_exists(last)) /* by an interrupted run: the last file of the case */
        goto done;
    VOLT_TRY(st, done, volt_phantom_make(&image, &labels, &make));
    st = phantom_write_case(t, number, image, labels, (int)c->threads);
done:
    volt_free(last);
    volt_volume_free(labels);
    volt_volume_free(image);
    return st;
}

static volt_status run(cli *c)
{
    static const char *const layouts[] = {"nnU-Net raw", "BraTS", "LiTS",
                                          "nnU-Net raw, grey labels", "nnU-Net raw, PNG"};
    const phantom_options *o = c->options;
    phantom_target t = {.layout = (phantom_layout)o->layout, .folder = c->args[1]};
    volt_phantom_options first;
    volt_owner *owner = NULL;
    char *description = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_phantom_parse(&t.kind, c->args[0]));
    VOLT_TRY(st, done, cli_check_output(c, c->args[1], NULL));
    t.brats_labels = o->brats_labels || t.layout == PHANTOM_BRATS;
    VOLT_TRY(st, done, phantom_layout_check(&t));
    first = options_of(c, &t, 0);
    VOLT_TRY(st, done, volt_phantom_check(&first));
    VOLT_TRY(st, done, describe(&description, &t, o));
    VOLT_TRY(st, done, volt_owner_take(&owner, c->args[1], VOLT_OWNER_REFUSE, &c->callbacks));
    VOLT_TRY(st, done, begin(c->args[1], description));
    for (int64_t i = 0; i < o->cases; i++) {
        VOLT_TRY(st, done, make_case(c, &t, i));
        volt_report_progress(&c->callbacks, "cases", i + 1, o->cases);
    }
    if (phantom_layout_has_info(&t))
        VOLT_TRY(st, done, write_info(&t, o));
    VOLT_TRY(st, done, end(c->args[1]));
    if (!c->quiet)
        printf("%s: %lld %s case%s, %s layout\n", c->args[1], (long long)o->cases,
               volt_phantom_name(t.kind), volt_s(o->cases), layouts[t.layout]);
done:
    if (st != VOLT_OK && owner)
        forget_if_empty(c->args[1]);
    volt_owner_release(&owner);
    volt_free(description);
    return st;
}

const cli_command cmd_phantom = {
    .name = "phantom",
    .section = CLI_DATA,
    .one_line = "create a synthetic data set with ground truth",
    .args = "brats|liver OUT",
    .min_args = 2,
    .max_args = 2,
    .about =
        "Writes synthetic scans and their labels to the new folder OUT, in nnU-Net's raw "
        "layout or another: brats has four MR channels and three nested lesion labels, liver "
        "a CT in HU with liver and tumours. The same command always writes the same voxels; "
        "after an interruption it continues.",
    .example = "volt phantom brats demo/data --cases 12 --size 64 --seed 1\n"
               "volt phantom liver demo/lits --layout lits --cases 12",
    .common = CLI_THREADS,
    CLI_OPTIONS(options, phantom_options),
    .run = run,
};
