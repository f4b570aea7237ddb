/* render.h - slices of a scan as a picture, with the contours of label maps.
 *
 * Views     axial, coronal and sagittal in the patient's axes, whatever the file's: the voxel
 *           axes nearest to them are used, nothing is resampled between slices.
 *           Radiological: in axial and coronal views the patient's right is on the left; in
 *           sagittal views anterior is on the left. Each view carries its letters.
 * Scale     the same for all views of one picture, true to the spacing.
 * Contours  the inner border of each label, as blocks of voxels, never smoothed.
 * Window    values up to window[0] are black, from window[1] on white.
 */
#ifndef VOLT_SHOW_RENDER_H
#define VOLT_SHOW_RENDER_H
#include <stdbool.h>
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

/* Everything is borrowed for the call. */
typedef struct volt_render_options {
    const char *title; /* NULL = none */
    /* Label maps of the image's size, integer dtypes; the first is drawn solid, others dashed.
     */
    const volt_volume *const *masks;
    const char *const *mask_names; /* for the legend, used when there is more than one mask */
    int mask_count;
    const volt_label_name *labels; /* labels that are not listed show as "label 7" */
    int64_t label_count;
    int32_t channel;  /* of the image */
    bool has_window;  /* false: by what the image looks like, see volt_window_choose */
    double window[2]; /* black, white */
    int64_t slice[3]; /* voxel index along z, y, x; -1 = through the largest section of the
                       * masks, or the middle without any */
    int sheet;        /* 0: three planes; n: n slices of `plane`, spread over the masks' extent
                       * or, without any, over the image */
    volt_plane plane; /* of the sheet */
    int64_t view;     /* pixels of the longest side of a view, 64..2048 */
} volt_render_options;

/* All slices chosen, three planes, 420 pixels. */
VOLT_API volt_render_options volt_render_defaults(void);

/* The caller owns *out (volt_picture_free). VOLT_EINVAL (channel, slice, view out of range),
 * VOLT_EDATA (a mask's size differs), VOLT_ENOMEM. */
VOLT_CALL volt_render(volt_picture **out, const volt_volume *image,
                      const volt_render_options *options);

/* A window for one channel: CT (values from below -500 to above 200) gets -160..240 HU, all
 * else the 1st to the 99.5th percentile of the values that are not 0 (background). */
VOLT_CALL volt_window_choose(double window[2], const volt_volume *image, int32_t channel);
/* "-160,240", or a CT window by name: soft, lung, bone, brain, liver. VOLT_EINVAL names them.
 */
VOLT_CALL volt_window_parse(double window[2], const char *text);

VOLT_END_DECLS
#endif
