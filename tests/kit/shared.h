/* shared.h - public scans and files that are too large for the repository. VOLT_SHARED_DATA, a
 * CMake variable, names their folder and is "" by default.
 */
#ifndef VOLT_TESTS_SHARED_H
#define VOLT_TESTS_SHARED_H
#include <stdbool.h>

/* Whether VOLT_SHARED_DATA holds `name`, a file or folder. Where not, prints that the caller is
 * skipped and why. */
bool has_shared(const char *name);

#endif
