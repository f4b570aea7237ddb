/* options.h - options structs that may be older or newer than the library.
 *
 * Every public options struct begins with `size_t size`, which its NAME_defaults() sets to the
 * size that the caller was compiled with. Fields are only ever added behind the old end of the
 * struct, its padding included.
 */
#ifndef VOLT_BASE_CORE_OPTIONS_H
#define VOLT_BASE_CORE_OPTIONS_H
#include <stddef.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

/* Copies the caller's options over *known, which holds the defaults and has `known_bytes`; what
 * an older caller does not have keeps its default. known->size becomes `known_bytes`. NULL is
 * allowed and changes nothing. `name` is the struct's, for the message. VOLT_EINVAL: `size` is
 * not set, or a newer caller sets a field that this library does not know. */
VOLT_MUST_USE volt_status volt_options_take(void *known, size_t known_bytes, const void *given,
                                            const char *name);
/* For NAME_init(): writes the first `size` bytes of `defaults` to *out, zeros behind them, and
 * `size` into its first field. */
void volt_options_init(void *out, size_t size, const void *defaults, size_t defaults_bytes);

VOLT_END_DECLS
#endif
