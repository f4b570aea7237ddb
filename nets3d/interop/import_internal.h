/* import_internal.h - declarations that import_model.c (conversion to a run) and
 * import_source.c (location of the files) share.
 */
#ifndef VOLT_NETS3D_INTEROP_IMPORT_INTERNAL_H
#define VOLT_NETS3D_INTEROP_IMPORT_INTERNAL_H
#include <stdbool.h>
#include "io/json/json.h"
#include "nets3d/import_model.h"
#include "nets3d/interop/bundle.h"
#include "nets3d/interop/weights.h"
VOLT_BEGIN_DECLS

#define VOLT_IMPORT_MAX_FOLDS 64

/* Files of one model. All strings are owned. */
typedef struct volt_import_source {
    char *plans, *dataset; /* NULL: inside the checkpoint */
    volt_bundle bundle;    /* else empty: plans and data set are its documents */
    int folds;
    char *
        fold[VOLT_IMPORT_MAX_FOLDS]; /* "fold_0", "fold_all"; "" for a file in no such folder */
    char *file[VOLT_IMPORT_MAX_FOLDS]; /* its weights */
} volt_import_source;

/* Finds the files of `path` by the rules of import_model.h. The caller owns what *out holds. */
VOLT_MUST_USE volt_status volt_import_find(volt_import_source *out, const char *path,
                                           const volt_model_import_options *options,
                                           const volt_callbacks *cb);
void volt_import_source_clear(volt_import_source *s);

VOLT_END_DECLS
#endif
