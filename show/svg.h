/* svg.h - charts as SVG 1.1 files.
 *
 * Threads   no shared state. Charts may be written at the same time, to different files.
 */
#ifndef VOLT_SHOW_SVG_H
#define VOLT_SHOW_SVG_H
#include <stdint.h>
#include "../base/status.h"
#include "chart.h"
VOLT_BEGIN_DECLS

/* Draws the chart on white, `width` x `height` pixels. The file appears whole or not at all.
 * Texts are UTF-8; bytes that XML cannot represent become '?'. VOLT_EINVAL as for
 * volt_chart_draw; VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_svg_write(const char *path, const volt_chart *chart, int64_t width,
                         int64_t height);

VOLT_END_DECLS
#endif
