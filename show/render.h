/* render.h - slices of scans as a picture, with label maps as fills and contours.
 *
 * Layouts   three planes of one image; a sheet of slices of one plane; or, with `column`s, the
 *           figure of a case: the same slice of several images, then of the masks over
 *           one of them.
 * Views     axial, coronal and sagittal, in the patient's axes whatever the order of the file's
 *           axes. Each view shows the voxel axes nearest to its plane; nothing is resampled
 *           across slices. The convention is radiological: axial and coronal views have the
 *           patient's right on the left, sagittal views anterior on the left. Letters mark the
 *           sides. Views are cropped to what differs from a constant margin of the images.
 * Scale     the same for all views of a picture, and true to the spacing.
 * Masks     a single mask is drawn as contours. Of several, the first, the reference, is a
 *           translucent fill and the others are contours (solid, dashed, dotted), so that all
 *           of them show where they agree.
 * Contours  the inner border of each label, along voxel edges, never smoothed.
 * Legend    every label of the masks with its volume in each of them and, for masks after the
 *           first, its Dice with the first: over the whole volume, not only the slices shown.
 * Text      is wrapped and the picture widened so that nothing is cut off.
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

/* As a channel: the first three are red, green and blue. */
#define VOLT_CHANNEL_RGB (-1)

/* One image of the figure of a case. */
typedef struct volt_render_column {
    const volt_volume *image; /* of the size of volt_render's image; borrowed */
    int32_t channel;          /* or VOLT_CHANNEL_RGB */
    const char *name;         /* "FLAIR"; borrowed */
} volt_render_column;

#define VOLT_LAST_COLUMN (-1)

/* What the number of voxels of a label is converted to. */
typedef enum volt_amount {
    VOLT_AMOUNT_ML = 0,
    VOLT_AMOUNT_MM2 = 1,   /* of an image without thickness */
    VOLT_AMOUNT_PIXELS = 2 /* without spacing, as in photographs */
} volt_amount;

/* The slice with the largest section of the first mask that is not empty, or the middle one
 * without masks. */
#define VOLT_SLICE_AUTO (-1)

/* All pointers are borrowed for the call. */
typedef struct volt_render_options {
    size_t size;       /* set by volt_render_defaults() */
    const char *title; /* NULL = none */
    /* Label maps of the image's size, integer types. */
    const volt_volume *const *masks;
    const char *const *mask_names; /* "truth", or paths, of which the end is used; NULL =
                                    * numbers */
    const char *const *mask_files; /* named in the legend next to them; NULL: mask_names */
    int mask_count;
    const volt_label_name *labels; /* labels that are not listed appear as "label 7" */
    int64_t label_count;
    int32_t channel;  /* of the image, or VOLT_CHANNEL_RGB */
    bool has_window;  /* false: choose one for each image, see volt_window_choose */
    double window[2]; /* black, white */
    int64_t slice[3]; /* voxel index along z, y, x, or VOLT_SLICE_AUTO */
    int sheet;        /* 0: one slice of each plane; n: n slices of `plane`, spread over the
                       * extent of the masks or, without any, of the image */
    volt_plane plane; /* of the sheet or the figure of a case */
    int64_t view;     /* pixels of the longest side of a view, 64..2048 */
    const volt_render_column *column; /* the figure of a case */
    int columns;
    int under; /* the column over which the masks are drawn, or VOLT_LAST_COLUMN */
    volt_amount amount;
    bool white;         /* the page; dark otherwise */
    bool unknown_sides; /* the image's orientation is unknown: no letters */
    bool crosshair;     /* lines through the voxel that the slices were chosen for; where there
                         * are masks or a slice was given */
} volt_render_options;

/* Three planes, slices and window chosen automatically, views of 420 pixels, crosshairs. */
VOLT_API void volt_render_options_init(volt_render_options *o, size_t size);
static inline volt_render_options volt_render_defaults(void)
{
    volt_render_options o;

    volt_render_options_init(&o, sizeof o);
    return o;
}

/* `options` NULL = defaults. The caller owns *out (volt_picture_free). VOLT_EINVAL: channel,
 * plane, slice, view, sheet or columns out of range; VOLT_EDATA: the size of a mask or column
 * differs from the image's, a mask with more than 4096 labels; VOLT_ENOMEM. */
VOLT_CALL volt_render(volt_picture **out, const volt_volume *image,
                      const volt_render_options *options);

/* Whether a volume looks like a label map: one channel, integers only, at most 4096 different
 * ones. Unless it is `declared` as a label map (by its header, its table of labels), also: few
 * different values that do not scatter around a slope, regions of equal voxels, or the values 1
 * to at most 120, all of them, each in one place. Otherwise `why` (`bytes`, NULL allowed) says
 * what speaks against it: "1523 different values". */
VOLT_API bool volt_looks_like_mask(const volt_volume *v, bool declared, char *why,
                                   size_t bytes);

/* Chooses a window for one channel: -160..240 HU for CT (an image with values below -500 and
 * above 200), otherwise the 1st to 99.5th percentile of the values that are not 0
 * (background). VOLT_ENOMEM. */
VOLT_CALL volt_window_choose(double window[2], const volt_volume *image, int32_t channel);
/* Parses "-160,240" or the name of a CT window: soft, lung, bone, brain, liver. VOLT_EINVAL:
 * neither; the message lists them. */
VOLT_CALL volt_window_parse(double window[2], const char *text);

VOLT_END_DECLS
#endif
