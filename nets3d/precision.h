/* precision.h - names of precisions.
 *
 * Threads  any thread may call these at any time.
 */
#ifndef VOLT_NETS3D_PRECISION_H
#define VOLT_NETS3D_PRECISION_H
#include "device.h"
VOLT_BEGIN_DECLS

/* "auto", "fp32", "bf16", "fp16" or "tf32": not every device computes in each. VOLT_EINVAL:
 * none of these. */
VOLT_CALL volt_precision_parse(volt_precision *out, const char *name);
VOLT_API const char *volt_precision_name(volt_precision precision); /* never NULL */

VOLT_END_DECLS
#endif
