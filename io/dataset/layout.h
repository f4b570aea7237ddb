/* layout.h - what the readers of the layouts share. A layout is one row of the table in
 * dataset.c; each has its own file, layout_NAME.c. */
#ifndef VOLT_IO_DATASET_LAYOUT_H
#define VOLT_IO_DATASET_LAYOUT_H
#include "base/system/file.h"
#include "io/dataset/dataset_internal.h"

/* A data set being opened. */
typedef struct opening {
    volt_dataset *ds;
    const volt_dataset_options *options; /* never NULL */
    const volt_json_at *root;            /* of dataset.json; NULL: there is none */
    case_builder cases;                  /* to train on */
    case_builder tests;                  /* to be predicted */
} opening;

/* -- The layouts: `fits` tells whether the folder is one (it
 * fails for lack of memory only), `describe` fills ds->info (its name
 * stays NULL or "" where the folder names the data set), `list` the cases. */
volt_status volt_decathlon_fits(bool *out, const opening *o);
volt_status volt_decathlon_describe(opening *o);
volt_status volt_decathlon_list(opening *o);
volt_status volt_nnunet_fits(bool *out, const opening *o);
volt_status volt_nnunet_describe(opening *o);
volt_status volt_nnunet_list(opening *o);
volt_status volt_brats_fits(bool *out, const opening *o);
volt_status volt_brats_describe(opening *o);
volt_status volt_brats2023_fits(bool *out, const opening *o);
volt_status volt_brats2023_describe(opening *o);
volt_status volt_brats2024_fits(bool *out, const opening *o);
volt_status volt_brats2024_describe(opening *o);
volt_status volt_brats_ped2024_fits(bool *out, const opening *o);
volt_status volt_brats_ped2024_describe(opening *o);
volt_status volt_brats_men_rt_fits(bool *out, const opening *o);
volt_status volt_brats_men_rt_describe(opening *o);
volt_status volt_brats_men_rt_list(opening *o);
volt_status volt_brats_list(opening *o);
volt_status volt_lits_fits(bool *out, const opening *o);
volt_status volt_lits_describe(opening *o);
volt_status volt_lits_list(opening *o);
volt_status volt_pairs_fits(bool *out, const opening *o);
volt_status volt_pairs_describe(opening *o);
volt_status volt_pairs_list(opening *o);

/* Whether scans lie in `folder`, or with `deep` in folders below it, under BraTS or LiTS names.
 * Only VOLT_ENOMEM is a failure. */
volt_status volt_brats_names(bool *out, const char *folder, bool deep);
volt_status volt_lits_names(bool *out, const char *folder, bool deep);

/* -- Shared ------------------------------------------------------------------------------- */

/* Records an warning of the data set: a sentence with file, value and the rule used. */
volt_status volt_layout_note(opening *o, const char *fmt, ...) VOLT_PRINTF(2, 3);

/* A path from dataset.json, which the caller owns: relative ones lead from the data set's
 * folder, as in nnU-Net also out of it (..); $NAME and ${NAME} at the start are variables of
 * the environment. Such files are only read. */
volt_status volt_layout_resolve(char **out, const volt_json_at *at, const char *folder);

/* The id of a file's case: its name without the NIfTI ending. The caller owns *out. */
volt_status volt_layout_id(char **out, const char *path);

static inline bool volt_is_hidden_file(const char *name)
{
    return *name == '.' || *name == '_';
}

/* What a layout always means. Labels are numbered from 0 in their order. */
typedef struct known_region {
    const char *name;
    int values;
    int32_t value[4];
    int32_t painted;
} known_region;
typedef struct known_set {
    int channels;
    const char *channel[4];
    int labels;
    const char *label[5];
    int32_t stored[5]; /* in the files */
    int regions;
    known_region region[5];
} known_set;
volt_status volt_layout_describe(volt_dataset_info *info, const known_set *known);
/* Gives `info`, which has none, these regions. */
volt_status volt_layout_set_regions(volt_dataset_info *info, const known_region *region,
                                    int count);

/* What the options ask of the labels: target, table, thresholds; for "pairs" the values. */
volt_status volt_labels_adapt(opening *o);
/* Finds out whether the cases lie differently, and how they are turned then. */
volt_status volt_orientation_survey(opening *o);

/* A visit to folders: `visit` gets each folder with the names in it. */
typedef struct folder_walk {
    volt_status (*visit)(struct folder_walk *walk, const char *folder, const volt_names *names);
    void *context;
    int depth;     /* levels below the first folder */
    int64_t limit; /* of folders; VOLT_EFORMAT after that many */
    bool stop;     /* set by `visit`: enough was seen */
} folder_walk;
/* In bytewise order, a folder before those in it; litter and folders called "volt" (work
 * folders) are left out. */
volt_status volt_layout_walk(folder_walk *walk, const char *folder);

#endif
