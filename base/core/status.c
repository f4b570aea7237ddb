#include "base/core/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "base/core/utf8.h"

#if defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__
#error "VOLT checks for NaN: do not build with -ffast-math or -Ofast"
#endif

static _Thread_local char last_error[1024];

volt_status(volt_fail)(volt_status code, const char *fmt, ...)
{
    char sentence[sizeof last_error]; /* the arguments may quote the previous sentence */
    va_list args;

    va_start(args, fmt);
    if (vsnprintf(sentence, sizeof sentence, fmt, args) < 0)
        sentence[0] = '\0';
    va_end(args);
    volt_make_printable(sentence, strlen(sentence));
    memcpy(last_error, sentence, sizeof sentence);
    return code;
}

const char *volt_last_error(void)
{
    return last_error;
}

void volt_set_last_error(const char *sentence)
{
    if (sentence != last_error)
        snprintf(last_error, sizeof last_error, "%s", sentence);
}

const char *volt_status_text(volt_status st)
{
    switch (st) {
#define VOLT_X(name, code, text)                                                               \
    case name:                                                                                 \
        return text;
        VOLT_STATUS_MAP(VOLT_X)
#undef VOLT_X
    }
    return "unknown status";
}
