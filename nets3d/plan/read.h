/* read.h - what the readers of a plan's parts share. */
#ifndef VOLT_NETS3D_PLAN_READ_H
#define VOLT_NETS3D_PLAN_READ_H
#include "nets3d/plan/plan_internal.h"

#define VOLT_PLAN_MAX_INHERIT 8

/* A configuration's objects: its own, then those it inherits from. */
typedef struct volt_plan_lineage {
    volt_json_at at[VOLT_PLAN_MAX_INHERIT];
    int count;
} volt_plan_lineage;

/* The value of `key` in the configuration or the nearest it inherits from that has the key;
 * value NULL without, and where it is null there: null takes back what is inherited, as in
 * nnU-Net. */
volt_status volt_plan_inherited(volt_json_at *out, const volt_plan_lineage *l, const char *key);
/* The same; VOLT_EFORMAT without. */
volt_status volt_plan_required(volt_json_at *out, const volt_plan_lineage *l, const char *key);
/* VOLT_ENOTSUP unless the text is `expected`. */
volt_status volt_plan_expect_text(const volt_json_at *at, const char *expected);

/* Reads and judges the network of `c`, whose axes are known: `architecture`, or the keys with
 * UNet_class_name that nnU-Net wrote before 2.3. Channels are not set. */
volt_status volt_plan_read_network(volt_plan_config *c, const volt_plan_lineage *l);

#endif
