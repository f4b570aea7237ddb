/* render.h - slices of a scan as a picture, with the contours of label maps.
 *
 * Views     axial, coronal and sagittal, in the patient's axes whatever the order of the file's
 *           axes. Each view shows the voxel axes nearest to its plane; nothing is resampled
 *           across slices. The convention is radiological: axial and coronal views have the
 *           patient's right on the left, sagittal views anterior on the left. Letters mark the
 *           sides.
 * Scale     the same for all views of a picture, and true to the spacing.
 * Contours  the inner border of each label, along voxel edges, never smoothed.
 * Window    values up to window[0] are black, values from window[1] on are white.
 * Threads   no shared state. Pictures may be rendered at the same time, also of one volume.
 */
#ifndef VOLT_SHOW_RENDER_H
#define VOLT_SHOW_RENDER_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
#include "picture.h"
#include "../volume/orient.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

typedef struct volt_label_name {
    int64_t value;
    const char *name; /* borrowed */
} volt_label_name;

/* The slice with the largest section of the masks, or the middle one without masks. */
#define VOLT_SLICE_AUTO (-1)

/* All pointers are borrowed for the call. */
typedef struct volt_render_options {
    size_t size;       /* set by volt_render_defaults() */
    const char *title; /* NULL = none */
    /* Label maps of the image's size, integer types; the first is drawn solid, others dashed.
     */
    const volt_volume *const *masks;
    const char *const *mask_names; /* for the legend, used when there are several masks */
    int mask_count;
    const volt_label_name *labels; /* labels that are not listed appear as "label 7" */
    int64_t label_count;
    int32_t channel;  /* of the image */
    bool has_window;  /* false: choose one, see volt_window_choose */
    double window[2]; /* black, white */
    int64_t slice[3]; /* voxel index along z, y, x, or VOLT_SLICE_AUTO */
    int sheet;        /* 0: one slice of each plane; n: n slices of `plane`, spread over the
                       * extent of the masks or, without any, of the image */
    volt_plane plane; /* of the sheet */
    int64_t view;     /* pixels of the longest side of a view, 64..2048 */
} volt_render_options;

/* Three planes, slices and window chosen automatically, views of 420 pixels. */
VOLT_API void volt_render_options_init(volt_render_options *o, size_t size);
static inline volt_render_options volt_render_defaults(void)
{
    volt_render_options o;

    volt_render_options_init(&o, sizeof o);
    return o;
}

/* `options` NULL = defaults. The caller owns *out (volt_picture_free). VOLT_EINVAL: channel,
 * plane, slice, view or sheet out of range; VOLT_EDATA: a mask's size differs from the image's;
 * VOLT_ENOMEM. */
VOLT_CALL volt_render(volt_picture **out, const volt_volume *image,
                      const volt_render_options *options);

/* Chooses a window for one channel: -160..240 HU for CT (an image with values below -500 and
 * above 200), otherwise the 1st to 99.5th percentile of the values that are not 0
 * (background). VOLT_ENOMEM. */
VOLT_CALL volt_window_choose(double window[2], const volt_volume *image, int32_t channel);
/* Parses "-160,240" or the name of a CT window: soft, lung, bone, brain, liver. VOLT_EINVAL:
 * neither; the message lists them. */
VOLT_CALL volt_window_parse(double window[2], const char *text);

VOLT_END_DECLS
#endif
