/* page.h - the parts of a rendered picture: what the masks hold, views, legend. */
#ifndef VOLT_SHOW_PICTURES_PAGE_H
#define VOLT_SHOW_PICTURES_PAGE_H
#include "show/pictures/view.h"

#define VOLT_PAGE_LABELS 4096

/* Content of the masks. Labels are ascending and without 0. */
typedef struct volt_mask_facts {
    int64_t *per_slice[3]; /* labelled voxels per slice along each axis, of the first mask that
                            * has any */
    int labels;
    int64_t *value; /* (labels) */
    volt_color *color;
    int64_t *voxels; /* (masks, labels) */
    int64_t *common; /* (masks, labels): voxels that have the label in the first mask, too */
} volt_mask_facts;

/* VOLT_EDATA: too many labels; VOLT_ENOMEM. The caller clears `f`, also after an error. */
VOLT_MUST_USE volt_status volt_mask_facts_find(volt_mask_facts *f, const volt_render_options *o,
                                               const volt_grid *grid);
void volt_mask_facts_clear(volt_mask_facts *f);

/* A view, its position in the picture and what it shows. */
typedef struct volt_cell {
    volt_view view;
    int64_t x, y;
    char caption[512];
    const volt_volume *image;
    int32_t channel;
    double window[2];
    int fill, first, last; /* masks to fill (-1: none) and to outline: first..last - 1 */
} volt_cell;

typedef struct volt_page {
    const volt_volume *image;
    const volt_render_options *o;
    volt_mask_facts facts;
    volt_cell *cells;
    int count, columns;
    volt_color paper, ink, faint;
    double font;          /* pixels */
    int64_t margin, line; /* between views; from line to line */
    int64_t width, height;
    int64_t body; /* y of the first row of views */
    int64_t legend_y;
    int64_t voxel[3]; /* of the crosshairs */
    bool has_voxel;
} volt_page;

/* Draws wrapped text, or with `to` NULL only measures it. Returns the y of the next line. */
int64_t volt_page_text(volt_picture *to, const volt_page *p, int64_t x, int64_t y,
                       int64_t width, volt_color c, const char *text);
/* "axial, z = 34 (S 12.5 mm)"; in a sheet "z = 34"; nothing in a picture without depth. */
void volt_page_place(char *out, size_t bytes, const volt_page *p, const volt_view *v);
/* The width that the legend needs to stand in one block. */
int64_t volt_page_legend_width(const volt_page *p);
/* Draws the legend and the lines below it, or with `to` NULL only measures them. Returns the y
 * below. */
int64_t volt_page_legend(volt_picture *to, const volt_page *p);

#endif
