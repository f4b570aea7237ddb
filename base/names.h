/* names.h - lists of names.
 *
 * Threads  any thread may use a list, but only one at a time.
 */
#ifndef VOLT_BASE_NAMES_H
#define VOLT_BASE_NAMES_H
#include <stddef.h>
#include "status.h"
VOLT_BEGIN_DECLS

typedef struct volt_names {
    char **name;
    size_t count;
} volt_names;
VOLT_API void volt_names_free(volt_names *names); /* clears it */

VOLT_END_DECLS
#endif
