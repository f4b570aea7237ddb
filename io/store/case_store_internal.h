/* case_store_internal.h - preprocessed cases in memory, for tests of hostile files. */
#ifndef VOLT_IO_STORE_CASE_STORE_INTERNAL_H
#define VOLT_IO_STORE_CASE_STORE_INTERNAL_H
#include "io/case_store.h"

/* As volt_stored_case_open over `bytes` of memory that outlives the case; `name` is for
 * messages. VOLT_EINVAL: the memory is not aligned to 8 bytes. */
VOLT_MUST_USE volt_status volt_stored_case_view(const volt_stored_case **out, const void *data,
                                                size_t bytes, const char *name);

#endif
