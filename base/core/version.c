#include "base/version.h"

#define DOTTED(a, b, c)  #a "." #b "." #c
#define VERSION(a, b, c) DOTTED(a, b, c) /* replaces the macros' names by their numbers */

const char *volt_version(void)
{
    return VERSION(VOLT_VERSION_MAJOR, VOLT_VERSION_MINOR, VOLT_VERSION_PATCH);
}
