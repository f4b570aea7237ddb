/* layout.h - the layouts, and what they share.
 *
 * A new layout is a file layout_NAME.c with a descriptor, declared here, and a row of the table
 * in dataset.c. */
#ifndef VOLT_IO_DATASET_LAYOUT_H
#define VOLT_IO_DATASET_LAYOUT_H
#include "base/system/file.h"
#include "io/dataset/dataset_internal.h"

/* A data set being opened. */
typedef struct opening {
    volt_dataset *ds;
    const volt_dataset_options *options; /* never NULL */
    const volt_json_at *root;            /* of dataset.json; NULL: none */
    case_builder cases;                  /* for training */
    case_builder tests;                  /* to predict */
    bool noted_variable, noted_outside;  /* by volt_layout_resolve */
} opening;

/* One layout: a file layout_NAME.c, reached through its descriptor alone. */
typedef struct volt_layout {
    const char *word; /* volt_dataset_options.layout */
    const char *name; /* volt_dataset.layout */
    bool needs_json;  /* every data set of this layout has a dataset.json */
    /* Whether `folder`, or with `deep` a folder below it, has images with this layout's file
     * names. NULL: names do not identify it, or another row covers them. Only VOLT_ENOMEM is a
     * failure. */
    volt_status (*names)(bool *out, const char *folder, bool deep);
    /* Whether o->ds->folder is such a data set. Only VOLT_ENOMEM is a failure. */
    volt_status (*fits)(bool *out, const opening *o);
    /* Fills ds->info; its name stays "" if the folder names the data set. */
    volt_status (*describe)(opening *o);
    /* Fills o->cases and o->tests. */
    volt_status (*list)(opening *o);
} volt_layout;

extern const volt_layout volt_layout_brats;
extern const volt_layout volt_layout_brats2023;
extern const volt_layout volt_layout_brats2024;
extern const volt_layout volt_layout_brats_men_rt;
extern const volt_layout volt_layout_brats_ped2024;
extern const volt_layout volt_layout_decathlon;
extern const volt_layout volt_layout_lits;
extern const volt_layout volt_layout_nnunet;
extern const volt_layout volt_layout_pairs;

/* Whether `folder`, or with `deep` a folder below it, has images with the file names of any
 * layout. Only VOLT_ENOMEM is a failure. */
volt_status volt_layouts_know(bool *out, const char *folder, bool deep);

/* Whether dataset.json has the list of nnU-Net v1: like the Decathlon's, but with one file per
 * channel. Only VOLT_ENOMEM is a failure. */
volt_status volt_nnunet_v1_fits(bool *out, const opening *o);
/* Restricts o->cases, as found in imagesTr and labelsTr, to that list. */
volt_status volt_nnunet_v1_select(opening *o);

/* -- Shared ------------------------------------------------------------------------------- */

/* Adds a note to the data set: a sentence with file, value and the rule applied. */
volt_status volt_layout_note(opening *o, const char *fmt, ...) VOLT_PRINTF(2, 3);

/* Resolves a path from dataset.json; the caller owns *out. Relative paths start in the data
 * set's folder; as in nnU-Net, $NAME and ${NAME} at the start are environment variables, which
 * is noted. Other absolute paths, and those with "..", are VOLT_EDATA unless
 * options->allow_outside. */
volt_status volt_layout_resolve(char **out, opening *o, const volt_json_at *at);

/* The case id of a file: its name without the ending. The caller owns *out. */
volt_status volt_layout_id(char **out, const char *path);

static inline bool volt_is_hidden_file(const char *name)
{
    return *name == '.' || *name == '_';
}

/* The fixed description of a layout. Labels are numbered from 0 in order. */
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
    int32_t stored[5]; /* values in the files */
    int regions;
    known_region region[5];
} known_set;
volt_status volt_layout_describe(volt_dataset_info *info, const known_set *known);
/* Adds regions to `info`, which has none. */
volt_status volt_layout_set_regions(volt_dataset_info *info, const known_region *region,
                                    int count);

/* Applies the options for labels: target, table, thresholds; for "pairs" finds the values. */
volt_status volt_labels_adapt(opening *o);
/* Finds the orientations of the cases and, if they differ, the common one. */
volt_status volt_orientation_survey(opening *o);

/* A walk through folders: `visit` is called for each folder with the names in it. */
typedef struct folder_walk {
    volt_status (*visit)(struct folder_walk *walk, const char *folder, const volt_names *names);
    void *context;
    int depth;     /* levels below the first folder */
    int64_t limit; /* of folders; VOLT_EFORMAT after that many */
    bool stop;     /* set by `visit` to end the walk */
} folder_walk;
/* In bytewise order, a folder before its subfolders; skips hidden files and folders named
 * "volt" (work folders). */
volt_status volt_layout_walk(folder_walk *walk, const char *folder);

#endif
