/* version.h - the version of the headers and of the library.
 *
 * CMake reads the version from here; it is written nowhere else.
 *
 * Threads   all calls are thread-safe.
 */
#ifndef VOLT_BASE_VERSION_H
#define VOLT_BASE_VERSION_H
#include "status.h"
VOLT_BEGIN_DECLS

/* Version of the headers that a program was compiled with. MAJOR is also the number in the
 * shared library's name. */
#define VOLT_VERSION_MAJOR 0
#define VOLT_VERSION_MINOR 1
#define VOLT_VERSION_PATCH 0

/* Version of the library that a program runs with: "MAJOR.MINOR.PATCH", a static string. */
VOLT_API const char *volt_version(void);

VOLT_END_DECLS
#endif
