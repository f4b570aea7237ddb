/* scores_internal.h - an evaluation as JSON in memory. */
#ifndef VOLT_IO_SCORES_SCORES_INTERNAL_H
#define VOLT_IO_SCORES_SCORES_INTERNAL_H
#include "io/json/json.h"
#include "io/scores.h"

/* What volt_scores_write writes. A new reference; NULL: out of memory. */
json_t *volt_scores_json(const volt_scores *s);

#endif
