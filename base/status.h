/* status.h - how every fallible call of VOLT reports its outcome.
 *
 * Rule      who detects a failure calls volt_fail() with one sentence that names file, axis and
 *           value; who propagates returns the status and adds nothing.
 * Outputs   change only on success.
 * Threads   the sentence is kept per thread.
 */
#ifndef VOLT_BASE_STATUS_H
#define VOLT_BASE_STATUS_H

#ifdef __cplusplus
#define VOLT_BEGIN_DECLS extern "C" {
#define VOLT_END_DECLS   }
#else
#define VOLT_BEGIN_DECLS
#define VOLT_END_DECLS
#endif

#define VOLT_API          __attribute__((visibility("default")))
#define VOLT_MUST_USE     __attribute__((warn_unused_result))
#define VOLT_PRINTF(f, a) __attribute__((format(printf, f, a)))
/* Exported, can fail, result must be used. */
#define VOLT_CALL VOLT_API VOLT_MUST_USE volt_status

VOLT_BEGIN_DECLS

/* The one list: status, exit code of `volt`, meaning. Codes are stable. */
#define VOLT_STATUS_MAP(X)                                                                     \
    X(VOLT_OK, 0, "no error")                                                                  \
    X(VOLT_EINTERNAL, 1, "a defect in volt itself")                                            \
    X(VOLT_EINVAL, 2, "an argument breaks the function's contract")                            \
    X(VOLT_ENOMEM, 3, "out of memory")                                                         \
    X(VOLT_EIO, 4, "the operating system refused a file")                                      \
    X(VOLT_EFORMAT, 5, "the file is damaged or not what it claims")                            \
    X(VOLT_ENOTSUP, 6, "valid, but not supported by this build")                               \
    X(VOLT_EDEVICE, 7, "the accelerator or its library failed")                                \
    X(VOLT_ECOMM, 8, "a peer rank or the network failed")                                      \
    X(VOLT_ECANCELLED, 9, "stopped at the caller's request")                                   \
    X(VOLT_EDATA, 10, "the data set breaks a rule")                                            \
    X(VOLT_ENUMERIC, 11, "training diverged: a value is not finite")

typedef enum volt_status {
#define VOLT_X(name, code, text) name = code,
    VOLT_STATUS_MAP(VOLT_X)
#undef VOLT_X
} volt_status;

/* Records one sentence (no newline, no trailing dot needed) for this thread; returns `code`. */
VOLT_API volt_status volt_fail(volt_status code, const char *fmt, ...) VOLT_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* lets the analyzer see that a failure is never VOLT_OK */
#define volt_fail(code, ...) ((void)volt_fail(code, __VA_ARGS__), (code))
#endif
/* The last sentence of this thread; "" if none. Borrowed until the thread's next volt_fail. */
VOLT_API const char *volt_last_error(void);
/* Takes over a sentence recorded by another thread (workers report through their owner). */
VOLT_API void volt_set_last_error(const char *sentence);
/* The list's text for `st`; never NULL. */
VOLT_API const char *volt_status_text(volt_status st);

#define VOLT_TRY(st, label, call)                                                              \
    do {                                                                                       \
        if (((st) = (call)) != VOLT_OK)                                                        \
            goto label;                                                                        \
    } while (0)

VOLT_END_DECLS
#endif
