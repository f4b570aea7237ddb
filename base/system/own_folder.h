/* own_folder.h - where VOLT lies, and what was installed with it.
 *
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_BASE_SYSTEM_OWN_FOLDER_H
#define VOLT_BASE_SYSTEM_OWN_FOLDER_H
#include "base/status.h"
VOLT_BEGIN_DECLS

/* The folder of the file that this code was loaded from: libvolt.so or a program. *out, which
 * the caller owns (volt_free), is NULL where the system cannot tell. */
VOLT_MUST_USE volt_status volt_own_folder(char **out);

VOLT_END_DECLS
#endif
