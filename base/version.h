/* version.h - the version of the headers and of the library.
 *
 * This is the only place that holds it: CMake reads it from here.
 * Threads  any, at any time.
 */
#ifndef VOLT_BASE_VERSION_H
#define VOLT_BASE_VERSION_H
#include "status.h"
VOLT_BEGIN_DECLS

/* Of the headers a program was compiled with. MAJOR is also the number in the shared library's
 * name. */
#define VOLT_VERSION_MAJOR 0
#define VOLT_VERSION_MINOR 1
#define VOLT_VERSION_PATCH 0

/* Of the library a program runs with: "MAJOR.MINOR.PATCH", a static string. */
VOLT_API const char *volt_version(void);

VOLT_END_DECLS
#endif
