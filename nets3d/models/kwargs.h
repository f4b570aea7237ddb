/* kwargs.h - a configuration's keys and the arguments of its network's class.
 *
 * A configuration may inherit from another; a key is looked up in its own object, then in those
 * that it inherits from. A key whose value is null takes back what is inherited, as in nnU-Net.
 *
 * Threads  as for json.h.
 */
#ifndef VOLT_NETS3D_MODELS_KWARGS_H
#define VOLT_NETS3D_MODELS_KWARGS_H
#include "io/json/json.h"
VOLT_BEGIN_DECLS

#define VOLT_INHERITED_MAX 8

/* A configuration's own object, then its ancestors'. */
typedef struct volt_inherited {
    volt_json_at at[VOLT_INHERITED_MAX];
    int count; /* >= 1 */
} volt_inherited;

/* The nearest value of `key`; out->value is NULL where the key is absent or null. */
VOLT_MUST_USE volt_status volt_inherited_optional(volt_json_at *out, const volt_inherited *c,
                                                  const char *key);
/* VOLT_EFORMAT where the key is absent or null. */
VOLT_MUST_USE volt_status volt_inherited_member(volt_json_at *out, const volt_inherited *c,
                                                const char *key);

/* VOLT_ENOTSUP unless the text is `expected`. */
VOLT_MUST_USE volt_status volt_kwargs_expect(const volt_json_at *at, const char *expected);
/* Arguments that may be left out; *out is unchanged then. */
VOLT_MUST_USE volt_status volt_kwargs_bool(bool *out, const volt_json_at *kwargs,
                                           const char *key);
VOLT_MUST_USE volt_status volt_kwargs_int(int64_t *out, const volt_json_at *kwargs,
                                          const char *key, int64_t high);

/* A list of `count` lists of `axes` integers in 1..high; 1 along d for 2 axes. */
VOLT_MUST_USE volt_status volt_kwargs_triples(int64_t (*out)[3], const volt_json_at *list,
                                              int count, int axes, int64_t high);
/* Entries first..end-1 as such a list. NULL when out of memory. */
json_t *volt_kwargs_triples_json(const int64_t (*v)[3], int first, int end, int axes);

VOLT_END_DECLS
#endif
