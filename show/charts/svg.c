#include "show/svg.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/system/file.h"
#include "show/pictures/text.h"

/* After a failure nothing more is written; `st` is the first one. */
typedef struct writer {
    volt_out *f;
    volt_status st;
} writer;

static void put(writer *w, const char *fmt, ...) VOLT_PRINTF(2, 3);
static void put(writer *w, const char *fmt, ...)
{
    char text[256];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (w->st == VOLT_OK)
        w->st = volt_out_write(w->f, text, strlen(text));
}

/* A number with two decimals, independent of the locale. */
static void put_number(writer *w, double v)
{
    const long long hundredths = llround(v * 100);

    put(w, "%s%lld.%02lld", hundredths < 0 ? "-" : "", llabs(hundredths) / 100,
        llabs(hundredths) % 100);
}

static void put_color(writer *w, const char *what, volt_color c)
{
    put(w, " %s=\"#%02x%02x%02x\"", what, c.r, c.g, c.b);
}

static void put_attribute(writer *w, const char *name, double v)
{
    put(w, " %s=\"", name);
    put_number(w, v);
    put(w, "\"");
}

static void put_text(writer *w, const char *text)
{
    while (*text) {
        const char *next = text;
        const unsigned code = volt_text_next(&next);

        if (code == '&')
            put(w, "&amp;");
        else if (code == '<')
            put(w, "&lt;");
        else if (code == '>')
            put(w, "&gt;");
        else if (code >= 0xfffd && code <= 0xffff) /* not a character of XML */
            put(w, "?");
        else
            put(w, "%.*s", (int)(next - text), text);
        text = next;
    }
}

static void svg_box(void *user, double x, double y, double width, double height, volt_color c)
{
    writer *w = user;

    put(w, "<rect");
    put_attribute(w, "x", x);
    put_attribute(w, "y", y);
    put_attribute(w, "width", width);
    put_attribute(w, "height", height);
    put_color(w, "fill", c);
    put(w, "/>\n");
}

static void svg_path(void *user, const double (*xy)[2], int64_t points, double width,
                     const volt_dash *dash, volt_color c)
{
    writer *w = user;

    if (points == 1) {
        put(w, "<circle");
        put_attribute(w, "cx", xy[0][0]);
        put_attribute(w, "cy", xy[0][1]);
        put_attribute(w, "r", width / 2);
        put_color(w, "fill", c);
        put(w, "/>\n");
        return;
    }
    put(w, "<polyline fill=\"none\" stroke-linejoin=\"round\" stroke-linecap=\"%s\"",
        dash ? "butt" : "round");
    put_color(w, "stroke", c);
    put_attribute(w, "stroke-width", width);
    if (dash) {
        put(w, " stroke-dasharray=\"");
        put_number(w, dash->on);
        put(w, " ");
        put_number(w, dash->period - dash->on);
        put(w, "\"");
        put_attribute(w, "stroke-dashoffset", -dash->skip);
    }
    put(w, " points=\"");
    for (int64_t i = 0; i < points; i++) {
        put(w, i ? " " : "");
        put_number(w, xy[i][0]);
        put(w, ",");
        put_number(w, xy[i][1]);
    }
    put(w, "\"/>\n");
}

static double svg_text_width(void *user, const char *text, volt_text_size size)
{
    (void)user;
    return volt_text_width(text, size);
}

static void svg_text(void *user, const char *text, double x, double y, volt_text_size size,
                     volt_text_anchor anchor, volt_color c)
{
    static const char *const anchors[] = {"start", "middle", "end"};
    writer *w = user;

    put(w, "<text text-anchor=\"%s\" font-size=\"%d\"", anchors[anchor], (int)size);
    put_attribute(w, "x", x);
    put_attribute(w, "y", y + VOLT_TEXT_CAPITAL / 2 * size);
    /* Where another font stands in, it takes the same room. */
    put_attribute(w, "textLength", volt_text_width(text, size));
    put(w, " lengthAdjust=\"spacingAndGlyphs\"");
    put_color(w, "fill", c);
    put(w, ">");
    put_text(w, text);
    put(w, "</text>\n");
}

volt_status volt_svg_write(const char *path, const volt_chart *chart, int64_t width,
                           int64_t height)
{
    writer w = {.st = VOLT_OK};
    const volt_painter painter = {.user = &w,
                                  .box = svg_box,
                                  .path = svg_path,
                                  .text = svg_text,
                                  .text_width = svg_text_width};
    volt_status st;

    VOLT_TRY(st, done, volt_out_open(&w.f, path));
    put(&w,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
        "width=\"%lld\" height=\"%lld\" viewBox=\"0 0 %lld %lld\" ",
        (long long)width, (long long)height, (long long)width, (long long)height);
    put(&w, "font-family=\"DejaVu Sans, Verdana, Geneva, sans-serif\">\n");
    svg_box(&w, 0, 0, (double)width, (double)height, (volt_color){255, 255, 255});
    VOLT_TRY(st, done, volt_chart_draw(&painter, chart, (double)width, (double)height));
    put(&w, "</svg>\n");
    VOLT_TRY(st, done, w.st);
    st = volt_out_commit(&w.f);
done:
    volt_out_abort(&w.f);
    return st;
}
