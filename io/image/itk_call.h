/* itk_call.h - one run of the helper program volt-itk. Internal to io.
 *
 * The helper is $VOLT_ITK, else volt-itk next to libvolt.so (or the program that VOLT is linked
 * into), else in the libexec folder of the same installation, else in a folder of PATH.
 * It is started without a shell, sees nothing but one socket, and does not outlive the call: it
 * is waited for in volt_itk_end and volt_itk_abort. One that says nothing for
 * $VOLT_ITK_TIMEOUT seconds (300) is ended. SIGINT does not reach it: the program that was
 * interrupted decides.
 */
#ifndef VOLT_IO_IMAGE_ITK_CALL_H
#define VOLT_IO_IMAGE_ITK_CALL_H
#include <stddef.h>
#include "io/image.h"
#include "io/itk/protocol.h"

typedef struct volt_itk_call volt_itk_call;

/* Starts `volt-itk VERB FILE`; messages name `path`. The caller owns *out. VOLT_ENOTSUP: there
 * is no volt-itk, and how to get it; VOLT_EIO; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_itk_start(volt_itk_call **out, const char *verb,
                                         const char *file, const char *path);
/* Receives exactly `bytes`. VOLT_EFORMAT: the helper crashed, hung or fell silent, which is
 * what damaged files do to it. */
VOLT_MUST_USE volt_status volt_itk_receive(volt_itk_call *call, void *data, size_t bytes);
VOLT_MUST_USE volt_status volt_itk_send(volt_itk_call *call, const void *data, size_t bytes);
/* Receives a message and judges it; what the helper says is wrong becomes the failure. */
VOLT_MUST_USE volt_status volt_itk_answer(volt_itk_message *out, volt_itk_call *call);
/* Waits for the end, after which nothing may come. Frees *call, also on failure. */
VOLT_MUST_USE volt_status volt_itk_end(volt_itk_call **call);
void volt_itk_abort(volt_itk_call **call); /* ends the helper; NULL is allowed */

/* Turns a message about the file `path` into a header. VOLT_EFORMAT names the field that
 * breaks a rule; VOLT_ENOMEM. The caller owns *out. */
VOLT_MUST_USE volt_status volt_itk_parse(volt_image_header **out, const volt_itk_message *m,
                                         const char *path);

#endif
