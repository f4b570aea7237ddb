/* svg.h - writing charts as SVG 1.1. */
#ifndef VOLT_SHOW_SVG_H
#define VOLT_SHOW_SVG_H
#include <stdint.h>
#include "../base/status.h"
#include "chart.h"
VOLT_BEGIN_DECLS

/* The chart on white, `width` x `height` pixels large, whole or not at all. Texts are UTF-8;
 * bytes that XML cannot hold become '?'. VOLT_EINVAL as volt_chart_draw, VOLT_EIO, VOLT_ENOMEM.
 */
VOLT_CALL volt_svg_write(const char *path, const volt_chart *chart, int64_t width,
                         int64_t height);

VOLT_END_DECLS
#endif
