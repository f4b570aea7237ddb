/* itk_call.h - one run of the helper program volt-itk.
 *
 * The helper is $VOLT_ITK, an absolute path, else volt-itk next to libvolt.so (or the program
 * that VOLT is linked into), else in the libexec folder of the same installation. It is started
 * without a shell and without this program's environment, has no open file but one socket,
 * opens no file but those named here, and does not outlive the call: volt_itk_end and
 * volt_itk_abort wait for it. If it sends nothing, or computes, for $VOLT_ITK_TIMEOUT seconds
 * (300), it is stopped. SIGINT does not reach it: the interrupted program decides.
 *
 * Threads   a call belongs to one thread; different calls may run at the same time.
 */
#ifndef VOLT_IO_IMAGE_ITK_CALL_H
#define VOLT_IO_IMAGE_ITK_CALL_H
#include <stddef.h>
#include "base/names.h"
#include "io/image.h"
#include "io/itk/protocol.h"

typedef struct volt_itk_call volt_itk_call;

/* Starts `volt-itk VERB ... FILE VOXELS`; `voxels` (NULL allowed) are names of files in FILE's
 * folder. Messages name `path`. The caller owns *out. VOLT_ENOTSUP: volt-itk was not found (the
 * sentence says how to get it); VOLT_EINVAL: VOLT_ITK is a relative path; VOLT_EIO;
 * VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_itk_start(volt_itk_call **out, const char *verb,
                                         const char *file, const volt_names *voxels,
                                         const char *path);
/* Receives exactly `bytes`. VOLT_EFORMAT: the helper crashed, hung or ended, which is how
 * damaged files show. */
VOLT_MUST_USE volt_status volt_itk_receive(volt_itk_call *call, void *data, size_t bytes);
VOLT_MUST_USE volt_status volt_itk_send(volt_itk_call *call, const void *data, size_t bytes);
/* Receives and checks a message; an error reported by the helper becomes the failure. */
VOLT_MUST_USE volt_status volt_itk_answer(volt_itk_message *out, volt_itk_call *call);
/* Waits for the helper to end; it must send nothing more. Frees *call, also on failure. */
VOLT_MUST_USE volt_status volt_itk_end(volt_itk_call **call);
void volt_itk_abort(volt_itk_call **call); /* kills the helper; NULL is allowed */

/* Turns a message about the file `path` into a header. VOLT_EFORMAT names the invalid field;
 * VOLT_ENOMEM. The caller owns *out. */
VOLT_MUST_USE volt_status volt_itk_parse(volt_image_header **out, const volt_itk_message *m,
                                         const char *path);

#endif
