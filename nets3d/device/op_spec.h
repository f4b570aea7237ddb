/* op_spec.h - rules of operator specs for all devices: number of operands, extents that fit
 * together, cost of a run.
 */
#ifndef VOLT_NETS3D_DEVICE_OP_SPEC_H
#define VOLT_NETS3D_DEVICE_OP_SPEC_H
#include "nets3d/device/device_internal.h"
VOLT_BEGIN_DECLS

/* What an operand is, in the order of device_internal.h. */
typedef enum volt_operand_role {
    VOLT_ROLE_NONE = 0,
    VOLT_ROLE_IN,     /* an activation or a gradient of one, read */
    VOLT_ROLE_OUT,    /* the same, written */
    VOLT_ROLE_PACKED, /* packed weights, read */
    VOLT_ROLE_VECTOR, /* dense float32, or float64 by the signature; read */
    VOLT_ROLE_RESULT  /* the same, written */
} volt_operand_role;

typedef struct volt_op_signature {
    const char *name; /* "conv_fwd" */
    int operands;
    volt_operand_role role[VOLT_OP_MAX_TENSORS];
    uint32_t optional;          /* bit i: operand i may be NULL */
    int in_place_a, in_place_b; /* inputs that the output may share memory with; -1 = none */
    uint32_t float64;           /* bit i: operand i is dense float64 */
} volt_op_signature;

/* NULL for an unknown kind; else a static table entry. */
const volt_op_signature *volt_op_signature_of(volt_op_kind kind);
/* VOLT_EINVAL with the operator, axis and value when extents, ranges or settings of `spec` do
 * not fit together. Does not look at which layouts a device can take. */
VOLT_MUST_USE volt_status volt_op_spec_check(const volt_op_spec *spec);
/* The copy that a PACK_BOX or UNPACK_BOX is. */
volt_op_spec volt_op_spec_as_copy(const volt_op_spec *spec);
/* A (transposed) convolution whose box of the operand that is read outside it (see Margins in
 * device_internal.h) has grown by the voxels of its margins that are read, with the padding
 * that is left. Other operators stay as they are. */
volt_op_spec volt_op_spec_absorb_margins(const volt_op_spec *spec);
/* Useful floating-point operations of one run and the least bytes it moves. */
void volt_op_spec_cost(const volt_op_spec *spec, double *flops, double *bytes);

VOLT_END_DECLS
#endif
