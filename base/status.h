/* status.h - status codes and error messages.
 *
 * Rule      the function that detects a failure calls volt_fail() with one sentence that names
 *           file, axis and value. Functions that propagate it return the status unchanged and
 *           add nothing.
 * Outputs   change only on success.
 * Threads   each thread has its own sentence.
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
/* Declares an exported function that can fail, whose result must be used. */
#define VOLT_CALL VOLT_API VOLT_MUST_USE volt_status

VOLT_BEGIN_DECLS

/* Status, exit code of `volt`, meaning. Codes are stable. */
#define VOLT_STATUS_MAP(X)                                                                     \
    X(VOLT_OK, 0, "no error")                                                                  \
    X(VOLT_EINTERNAL, 1, "internal error")                                                     \
    X(VOLT_EINVAL, 2, "invalid argument")                                                      \
    X(VOLT_ENOMEM, 3, "out of memory")                                                         \
    X(VOLT_EIO, 4, "input/output error")                                                       \
    X(VOLT_EFORMAT, 5, "the file is damaged or has another format")                            \
    X(VOLT_ENOTSUP, 6, "not supported by this build")                                          \
    X(VOLT_EDEVICE, 7, "the device or its library failed")                                     \
    X(VOLT_ECOMM, 8, "MPI or the network failed")                                              \
    X(VOLT_ECANCELLED, 9, "stopped at the caller's request")                                   \
    X(VOLT_EDATA, 10, "invalid data")                                                          \
    X(VOLT_ENUMERIC, 11, "training diverged: a value is not finite")                           \
    X(VOLT_ETIMEOUT, 12, "another rank did not answer in time")                                \
    X(VOLT_EPEER, 13, "another rank failed or is missing")

typedef enum volt_status {
#define VOLT_X(name, code, text) name = code,
    VOLT_STATUS_MAP(VOLT_X)
#undef VOLT_X
} volt_status;

/* Records one sentence (without newline or final full stop) for this thread; returns `code`. */
VOLT_API volt_status volt_fail(volt_status code, const char *fmt, ...) VOLT_PRINTF(2, 3);
#ifdef __clang_analyzer__ /* tells the analyzer that a failure is never VOLT_OK */
#define volt_fail(code, ...) ((void)volt_fail(code, __VA_ARGS__), (code))
#endif
/* This thread's last sentence, or "". Borrowed until its next volt_fail. */
VOLT_API const char *volt_last_error(void);
/* The meaning of `st` from the list above; never NULL. */
VOLT_API const char *volt_status_text(volt_status st);

/* Goes to `label` if the call fails. */
#define VOLT_TRY(st, label, call)                                                              \
    do {                                                                                       \
        if (((st) = (call)) != VOLT_OK)                                                        \
            goto label;                                                                        \
    } while (0)

VOLT_END_DECLS
#endif
