/* snapshot.h - which files a case consists of, for `volt snapshot`. */
#ifndef VOLT_APPS_SNAPSHOT_H
#define VOLT_APPS_SNAPSHOT_H
#include "apps/cli/cli.h"
#include "base/names.h"
#include "io/dataset.h"

/* All owned (snapshot_case_free). */
typedef struct snapshot_case {
    char *name;
    volt_names files;  /* of the channels, at least one */
    char *truth;       /* NULL: none is known */
    volt_dataset *set; /* that the case belongs to, or NULL */
    bool named;        /* not a file: a case of a data set or the start of file names */
} snapshot_case;

/* Finds the case that `path` means: a file or a stack; DATASET/CASE, a folder of a case, or the
 * start of CASE_0000.EXT. With `whole`, a file stands for its case: the other channels next to
 * it and, in a data set, the truth. VOLT_EIO: there is no such case; VOLT_EINVAL: a data set
 * without the name of a case; VOLT_ENOMEM. */
volt_status snapshot_case_find(snapshot_case *out, const char *path, bool whole);
void snapshot_case_free(snapshot_case *c);

/* Names of the columns: the data set's, or the parts in which file names differ. `out` gets
 * `count` texts, each owned (volt_free). */
volt_status snapshot_names(char **out, const snapshot_case *c, char *const *files, int count);
/* The same for masks, whose files follow those of the images in `files`. */
volt_status snapshot_mask_names(char **out, char *const *files, int images, int masks);
/* What the names of `count` files begin with, up to a separator; NULL if nothing. The caller
 * owns *out (volt_free). */
volt_status snapshot_title(char **out, char *const *files, int count);
/* The dataset.json in the folder of a mask or, for labelsTr and labelsTs, above it; *out stays
 * empty if there is none that can be read. volt_dataset_info_clear; VOLT_ENOMEM. */
volt_status snapshot_info_near(volt_dataset_info *out, const char *mask);
/* Whether two paths lead to one existing file. */
bool snapshot_same_file(const char *a, const char *b);

#endif
