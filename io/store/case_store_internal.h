/* case_store_internal.h - writes preprocessed cases and reads them from memory. */
#ifndef VOLT_IO_STORE_CASE_STORE_INTERNAL_H
#define VOLT_IO_STORE_CASE_STORE_INTERNAL_H
#include "io/case_store.h"

/* Writes `c` to `path`, whole or not at all. VOLT_EINVAL: a field breaks a rule of the layout;
 * VOLT_EIO. */
VOLT_MUST_USE volt_status volt_stored_case_write(const char *path, const volt_stored_case *c);
/* The key of the case file at `path`; VOLT_EFORMAT, VOLT_EIO as volt_stored_case_open. */
VOLT_MUST_USE volt_status volt_stored_case_key(uint64_t *out, const char *path);
/* As volt_stored_case_open over `bytes` of memory that outlives the case; `name` is for
 * messages. VOLT_EINVAL: the memory is not aligned to 8 bytes. */
VOLT_MUST_USE volt_status volt_stored_case_view(const volt_stored_case **out, const void *data,
                                                size_t bytes, const char *name);
/* VOLT_EIO once a page of the file could not be read: another program made it shorter. */
VOLT_MUST_USE volt_status volt_stored_case_check(const volt_stored_case *c);

#endif
