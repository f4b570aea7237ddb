/* found.h - what the checkpoint of a run says, parsed. */
#ifndef VOLT_NETS3D_RUN_FOUND_H
#define VOLT_NETS3D_RUN_FOUND_H
#include "base/status.h"
#include "io/dataset.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/run/state.h"
VOLT_BEGIN_DECLS

/* Zero-initialized is empty. */
typedef struct volt_run_found {
    volt_checkpoint_head head;
    volt_train_recipe recipe;
    volt_train_state state;
    volt_dataset_info info;
} volt_run_found;
void volt_run_found_clear(volt_run_found *f);
/* The caller owns what *out holds (volt_run_found_clear). Errors as volt_checkpoint_read_head;
 * VOLT_EFORMAT also: a value of recipe or state is out of range. */
VOLT_MUST_USE volt_status volt_run_found_read(volt_run_found *out, const char *path);

/* The recipe's `cases`, of the names of the cases; either list may be empty. */
uint32_t volt_run_cases_checksum(const char *const *train, int64_t trains,
                                 const char *const *validate, int64_t validates);

VOLT_END_DECLS
#endif
