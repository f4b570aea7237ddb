/* What all parts of a page share. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "base/core/checked.h"
#include "show/pictures/page.h"
#include "show/pictures/text.h"

int64_t volt_page_text(volt_picture *to, const volt_page *p, int64_t x, int64_t y,
                       int64_t width, volt_color c, const char *text)
{
    char line[1024];

    while (*text) {
        const size_t bytes =
            (size_t)volt_min_i64((int64_t)volt_text_fit(text, p->font, (double)width), 1023);

        memcpy(line, text, bytes);
        line[bytes] = '\0';
        if (to)
            volt_picture_text(to, (double)x, (double)y, p->font, c, line);
        y += p->line;
        text += bytes;
    }
    return y;
}

void volt_page_place(char *out, size_t bytes, const volt_page *p, const volt_view *v)
{
    static const char *const names[] = {[VOLT_PLANE_AXIAL] = "axial",
                                        [VOLT_PLANE_CORONAL] = "coronal",
                                        [VOLT_PLANE_SAGITTAL] = "sagittal"};
    static const char sides[3][2] = {{'L', 'R'}, {'P', 'A'}, {'I', 'S'}};
    const volt_grid *g = &p->image->grid;
    const int world = VOLT_PLANE_SAGITTAL - v->plane; /* axial cuts S, coronal A, sagittal R */
    const char axis = "zyx"[v->through];
    double index[3], mm[3];

    out[0] = '\0';
    if (g->n[v->through] == 1) {
        if (!p->o->unknown_sides)
            snprintf(out, bytes, "%s", names[v->plane]);
        return;
    }
    for (int a = 0; a < 3; a++)
        index[a] = a == v->through ? (double)v->slice : (double)(g->n[a] - 1) / 2;
    volt_grid_world(mm, g, index);
    if (p->o->sheet || p->o->unknown_sides)
        snprintf(out, bytes, "%c = %lld", axis, (long long)v->slice);
    else
        snprintf(out, bytes, "%s, %c = %lld (%c %.1f mm)", names[v->plane], axis,
                 (long long)v->slice, sides[world][mm[world] >= 0], fabs(mm[world]));
}
