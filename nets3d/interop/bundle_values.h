/* bundle_values.h - values of a MONAI config with their references resolved. */
#ifndef VOLT_NETS3D_INTEROP_BUNDLE_VALUES_H
#define VOLT_NETS3D_INTEROP_BUNDLE_VALUES_H
#include "io/json/json.h"
VOLT_BEGIN_DECLS

/* The value at `at` with all references in it replaced; *out is a new reference. VOLT_EFORMAT:
 * a reference to nothing, or in a circle; VOLT_ENOTSUP: an expression. */
VOLT_MUST_USE volt_status volt_bundle_resolve(json_t **out, const volt_json *config,
                                              const volt_json_at *at);
/* Only the value itself: what an object or a list holds stays as it is. */
VOLT_MUST_USE volt_status volt_bundle_look(json_t **out, const volt_json *config,
                                           const volt_json_at *at);

VOLT_END_DECLS
#endif
