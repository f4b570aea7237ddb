#include "show/samples.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/checked.h"
#include "base/core/options.h"
#include "base/core/alloc.h"
#include "base/core/available.h"
#include "base/core/plural.h"
#include "io/image.h"
#include "io/png.h"
#include "nets3d/data/sampler.h"
#include "volume/normalize.h"
#include "volume/orient.h"
#include "volume/grid/patch.h"
#include "show/pictures/text.h"
#include "show/pictures/view.h"

#define LABELS_MAX 256 /* of a scan without a plan */

static int64_t voxels_of(const int64_t n[3])
{
    return n[0] * n[1] * n[2];
}

/* ---- a scan as a case ---- */

/* Locations of labels 1 and up: at most 1000 voxels of each, spread evenly over all of them. */
static volt_status locate_classes(volt_shown_case *c)
{
    enum { KEPT = 1000 };
    const int16_t *labels = c->data.labels->data;
    const int64_t voxels = voxels_of(c->stored.shape);
    int64_t count[LABELS_MAX] = {0}, seen[LABELS_MAX] = {0};
    volt_status st;

    for (int64_t i = 0; i < voxels; i++) {
        if (labels[i] < 0 || labels[i] >= LABELS_MAX)
            return volt_fail(VOLT_EDATA, "label %d is not in 0..%d", labels[i], LABELS_MAX - 1);
        count[labels[i]]++;
    }
    VOLT_TRY(st, done,
             volt_alloc_zero(&c->locations, LABELS_MAX, sizeof *c->locations, "classes"));
    c->stored.locations = c->locations;
    for (int l = 1; l < LABELS_MAX; l++) {
        volt_class_locations *to = &c->locations[c->stored.classes];
        uint64_t *at = NULL;

        if (count[l] == 0)
            continue;
        VOLT_TRY(st, done, volt_alloc(&at, KEPT * sizeof *at, "classes"));
        *to = (volt_class_locations){.label = l, .voxels = count[l], .location = at};
        c->stored.classes++;
        seen[l] = c->stored.classes; /* which entry is label l's */
    }
    memset(count, 0, sizeof count);
    for (int64_t i = 0; i < voxels; i++) {
        volt_class_locations *to = labels[i] ? &c->locations[seen[labels[i]] - 1] : NULL;

        if (to && count[labels[i]]++ * KEPT / to->voxels >= to->count && to->count < KEPT)
            ((uint64_t *)to->location)[to->count++] = (uint64_t)i;
    }
done:
    return st;
}

static volt_status add_labels(volt_case_data *data)
{
    volt_grid grid = data->image->grid;

    grid.channels = 1;
    return data->labels ? VOLT_OK : volt_volume_create(&data->labels, &grid, VOLT_I16);
}

volt_status volt_shown_case_read(volt_shown_case *out, const volt_case *c, int threads)
{
    volt_shown_case made = {0};
    volt_image_header *header = NULL;
    volt_volume *image;
    volt_dataset_info info = {.ignore_label = VOLT_NO_IGNORE_LABEL};
    int channels = c->files;
    volt_status st;

    VOLT_TRY(st, done, volt_image_info(&header, c->file[0]));
    if (c->files == 1)
        channels = header->grid.channels;
    info.channels = channels;
    VOLT_TRY(st, done, volt_case_read(&made.data, c, &info, threads));
    VOLT_TRY(st, done, add_labels(&made.data));
    image = made.data.image;
    for (int i = 0; i < channels; i++)
        VOLT_TRY(st, done,
                 volt_normalize((float *)image->data + i * volt_grid_voxels(&image->grid),
                                volt_grid_voxels(&image->grid), VOLT_NORMALIZE_ZSCORE, NULL,
                                NULL, threads));
    made.stored = (volt_stored_case){.channels = channels,
                                     .data = image->data,
                                     .label_dtype = VOLT_I16,
                                     .labels = made.data.labels->data,
                                     .source = image->grid,
                                     .transpose_forward = {0, 1, 2},
                                     .crop = volt_box_of_shape(image->grid.n)};
    memcpy(made.stored.shape, image->grid.n, sizeof made.stored.shape);
    volt_grid_spacing(made.stored.spacing, &image->grid);
    VOLT_TRY(st, done, locate_classes(&made));
    *out = made;
    made = (volt_shown_case){0};
done:
    volt_image_header_free(header);
    volt_shown_case_clear(&made);
    return st;
}

void volt_shown_case_clear(volt_shown_case *c)
{
    for (int i = 0; i < c->stored.classes; i++)
        volt_free((void *)c->locations[i].location);
    volt_free(c->locations);
    volt_case_data_clear(&c->data);
    *c = (volt_shown_case){0};
}

/* ---- samples ---- */

/* The current sample before and after augmentation, and what produces both. */
typedef struct show {
    const volt_show_samples_options *o;
    const volt_stored_case *c;
    const char *dir;
    int64_t patch[3];
    volt_sample_case *source;
    volt_sampler_options sampling;
    volt_sampler *sampler;
    volt_volume *before, *after, *labels_before, *labels_after;
    volt_picture **strip; /* a picture of each sample */
    int64_t strips;
    double scale; /* pixels per mm */
    volt_plane plane[3];
    int planes;
} show;

/* The grid of n voxels from `corner` on in the preprocessed case, which is transposed, cropped
 * and resampled. */
static volt_grid grid_at(const volt_stored_case *c, const int64_t corner[3], const int64_t n[3])
{
    volt_grid turned, g;
    volt_orientation o;
    double spacing[3];

    if (volt_orientation_transpose(&o, c->transpose_forward) != VOLT_OK)
        return volt_grid_make(n, 1,
                              c->spacing); /* the order was checked when the case was opened */
    turned = volt_orientation_grid(o, &c->source);
    volt_grid_spacing(spacing, &turned);
    g = turned;
    g.channels = 1;
    for (int a = 0; a < 3; a++) {
        const double ratio = c->spacing[a] / spacing[a];
        const double at = (double)c->crop.low[a] + ((double)corner[a] + 0.5) * ratio - 0.5;

        g.n[a] = n[a];
        for (int w = 0; w < 3; w++) {
            g.to_world[w][2 - a] = turned.to_world[w][2 - a] * ratio;
            g.to_world[w][3] += turned.to_world[w][2 - a] * at;
        }
    }
    return g;
}

static volt_status check_options(const volt_show_samples_options *o, const volt_stored_case *c)
{
    if (o->samples < 1 || o->samples > 10000 || o->channel < 0 || o->channel >= c->channels ||
        o->view < 64 || o->view > 1024)
        return volt_fail(
            VOLT_EINVAL,
            "%lld sample%s, channel %d of %d or views of %lld pixel%s are out of range",
            (long long)o->samples, volt_s(o->samples), o->channel, c->channels,
            (long long)o->view, volt_s(o->view));
    for (int a = 0; a < 3; a++) {
        if (o->patch[a] < 0 || o->patch[a] > 1024)
            return volt_fail(VOLT_EINVAL,
                             "a patch of %lld voxels along %c; at most 1024 are supported",
                             (long long)o->patch[a], "dhw"[a]);
    }
    return VOLT_OK;
}

static int64_t classes_of(const volt_stored_case *c)
{
    int64_t most = 1;

    for (int i = 0; i < c->classes; i++)
        most = c->locations[i].label > most ? c->locations[i].label : most;
    return most + 1;
}

/* Planes in which a sample is more than one voxel wide both ways. */
static void choose_planes(show *s, const volt_grid *g)
{
    double largest = 0, extent[2];

    for (volt_plane plane = VOLT_PLANE_AXIAL; plane <= VOLT_PLANE_SAGITTAL; plane++) {
        const volt_view v = volt_view_of(g, plane, 1);

        if (g->n[v.across] <= 1 || g->n[v.down] <= 1)
            continue;
        volt_view_extent(extent, g, plane);
        largest = fmax(largest, fmax(extent[0], extent[1]));
        s->plane[s->planes++] = plane;
    }
    s->scale = largest > 0 ? (double)s->o->view / largest : 1;
}

/* The sampler, each sample before and after, and what writing its labels takes. */
static volt_status check_memory(const show *s)
{
    const size_t voxels = (size_t)voxels_of(s->patch);
    const size_t sample =
        voxels * (2 * sizeof(float) * (size_t)s->c->channels + (2 + 1) * sizeof(int16_t));
    char what[96];

    snprintf(what, sizeof what, "augmenting patches of %lld x %lld x %lld voxels",
             (long long)s->patch[0], (long long)s->patch[1], (long long)s->patch[2]);
    return volt_mem_check(volt_sampler_bytes(&s->sampling) + sample, what);
}

static volt_status open_show(show *s, const char *name)
{
    const int64_t start[3] = {0, 0, 0};
    const volt_sample_source source = {.stored = s->c, .name = name};
    volt_grid g;
    volt_status st;

    for (int a = 0; a < 3; a++) {
        const int64_t n = s->c->shape[a];
        s->patch[a] = s->o->patch[a] > 0 ? s->o->patch[a] : n < 128 ? n : 128;
    }
    if (s->o->is_2d)
        s->patch[0] = 1;
    s->sampling =
        (volt_sampler_options){.rules = volt_augment_rules_nnunet(s->patch, s->c->channels),
                               .classes = classes_of(s->c) > 2 ? classes_of(s->c) : 2,
                               .ignore = VOLT_NO_IGNORE_LABEL};
    VOLT_TRY(st, done, volt_sampler_check(&s->sampling));
    VOLT_TRY(st, done, check_memory(s));
    VOLT_TRY(st, done, volt_sample_case_make(&s->source, &source, &s->sampling));
    VOLT_TRY(st, done, volt_sampler_open(&s->sampler, &s->sampling));
    g = grid_at(s->c, start, s->patch);
    choose_planes(s, &g);
    VOLT_TRY(st, done, volt_volume_create(&s->labels_before, &g, VOLT_I16));
    VOLT_TRY(st, done, volt_volume_create(&s->labels_after, &g, VOLT_I16));
    g.channels = s->c->channels;
    VOLT_TRY(st, done, volt_volume_create(&s->before, &g, VOLT_F32));
    VOLT_TRY(st, done, volt_volume_create(&s->after, &g, VOLT_F32));
done:
    return st;
}

static void close_show(show *s)
{
    for (int64_t i = 0; i < s->strips; i++)
        volt_picture_free(s->strip[i]);
    volt_free(s->strip);
    volt_volume_free(s->after);
    volt_volume_free(s->before);
    volt_volume_free(s->labels_after);
    volt_volume_free(s->labels_before);
    volt_sampler_close(s->sampler);
    volt_sample_case_close(s->source);
}

/* The unchanged voxels of the patch. */
static volt_status read_before(show *s, const int64_t corner[3])
{
    const volt_box box = volt_box_at(corner, s->patch);
    volt_volume image = {.dtype = VOLT_F32, .data = (void *)s->c->data};
    volt_volume labels = {.dtype = s->c->label_dtype, .data = (void *)s->c->labels};
    volt_status st;

    memcpy(image.grid.n, s->c->shape, sizeof image.grid.n);
    memcpy(labels.grid.n, s->c->shape, sizeof labels.grid.n);
    image.grid.channels = s->c->channels;
    labels.grid.channels = 1;
    VOLT_TRY(st, done, volt_patch_read(s->before->data, box, &image, 0));
    st = volt_patch_read_labels(s->labels_before->data, box, &labels, 0);
done:
    return st;
}

/* Fills the four volumes, on the grid that the sample was cut from. */
static volt_status make_sample(show *s, volt_shown_sample *out, int64_t number)
{
    const volt_sample_draw draw = {
        .where = volt_rng_open(s->o->seed, 0, (uint32_t)number, VOLT_RNG_CASE),
        .change = volt_rng_open(s->o->seed, 0, (uint32_t)number, VOLT_RNG_AUGMENT),
        .noise = volt_rng_open(s->o->seed, 0, (uint32_t)number, VOLT_RNG_NOISE),
        .forced = true};
    volt_volume *all[4] = {s->before, s->after, s->labels_before, s->labels_after};
    volt_grid g;
    volt_status st;

    VOLT_TRY(st, done,
             volt_sampler_make(s->sampler, s->after->data, s->labels_after->data, out->corner,
                               s->source, &draw));
    VOLT_TRY(st, done, read_before(s, out->corner));
    volt_augment_describe(out->changes, sizeof out->changes, &s->sampling.rules,
                          volt_sampler_drawn(s->sampler));
    g = grid_at(s->c, out->corner, s->patch);
    for (int i = 0; i < 4; i++)
        memcpy(all[i]->grid.to_world, g.to_world, sizeof g.to_world);
done:
    return st;
}

static volt_status write_sample(const show *s, int64_t number)
{
    const volt_image_write_options options = volt_image_write_with(s->o->threads);
    const volt_image_write_options labels = volt_image_write_labels(s->o->threads);
    const int64_t voxels = voxels_of(s->patch);
    volt_volume channel = *s->after; /* a view */
    char *path = NULL;
    volt_status st = VOLT_OK;

    channel.grid.channels = 1;
    for (int c = 0; c < s->c->channels; c++) {
        channel.data = (float *)s->after->data + c * voxels;
        VOLT_TRY(
            st, done,
            volt_format(&path, "%s/sample_%lld_%04d.nii.gz", s->dir, (long long)number, c));
        VOLT_TRY(st, done, volt_image_write(path, &channel, NULL, &options));
        volt_free(path);
        path = NULL;
    }
    VOLT_TRY(st, done, volt_format(&path, "%s/sample_%lld.nii.gz", s->dir, (long long)number));
    st = volt_image_write(path, s->labels_after, NULL, &labels);
done:
    volt_free(path);
    return st;
}

/* ---- the contact sheet ---- */

#define FONT 13
enum { MARGIN = 8, LINE = 18, NARROWEST = 640 };
static const volt_color paper = {18, 18, 20}, ink = {225, 225, 225};
static const char *const heading[2][2] = {{"in the case", "after augmentation"},
                                          {"before", "after"}};

static volt_view middle_view(const show *s, const volt_volume *v, int plane)
{
    volt_view view = volt_view_of(&v->grid, s->plane[plane], s->scale);

    view.slice = v->grid.n[view.through] / 2;
    return view;
}

/* The size of the views of a sample. */
static void measure_views(const show *s, int64_t *width, int64_t *height)
{
    *width = MARGIN;
    *height = 1;
    for (int i = 0; i < s->planes; i++) {
        const volt_view v = middle_view(s, s->before, i);

        *width += v.width + MARGIN;
        *height = volt_max_i64(v.height, *height);
    }
}

/* Draws wrapped text, or with `to` NULL only measures it. Returns the y of the next line. */
static int64_t draw_text(volt_picture *to, int64_t x, int64_t y, int64_t width,
                         const char *text)
{
    char line[600];

    while (*text) {
        const size_t bytes = volt_text_fit(text, FONT, (double)width);

        snprintf(line, sizeof line, "%.*s", (int)bytes, text);
        if (to)
            volt_picture_text(to, (double)x, (double)y, FONT, ink, line);
        y += LINE;
        text += bytes;
    }
    return y;
}

/* Before any work: the samples without their changes must fit on one picture. */
static volt_status check_sheet(const show *s)
{
    int64_t width, height;

    measure_views(s, &width, &height);
    height = (height + LINE + 2 * MARGIN) * s->o->samples;
    if (height + LINE > VOLT_PICTURE_LARGEST)
        return volt_fail(VOLT_EINVAL,
                         "one picture cannot hold %lld sample%s: they need %lld rows of pixels",
                         (long long)s->o->samples, volt_s(s->o->samples), (long long)height);
    return VOLT_OK;
}

/* The sample's planes from x on. */
static volt_status draw_planes(volt_picture *to, const show *s, int64_t x, int64_t y,
                               const volt_volume *image, const volt_volume *labels,
                               const double window[2])
{
    int64_t value[LABELS_MAX];
    volt_color color[LABELS_MAX];
    const volt_label_map map = {value, color, LABELS_MAX - 1};
    volt_status st = VOLT_OK;

    for (int i = 0; i < map.count; i++) {
        value[i] = i + 1;
        color[i] = volt_label_color(i + 1);
    }
    for (int i = 0; i < s->planes && st == VOLT_OK; i++) {
        const volt_view v = middle_view(s, image, i);

        VOLT_TRY(st, done, volt_view_draw(to, x, y, &v, image, s->o->channel, window));
        st = volt_view_contours(to, x, y, &v, labels, &map, VOLT_OUTLINE_SOLID);
        x += v.width + MARGIN;
    }
done:
    return st;
}

/* One sample before and after, with its changes below: a strip of the sheet. */
static volt_status draw_sample(show *s, const volt_shown_sample *sample, int64_t number)
{
    int64_t views, height, width, y = number == 1 ? LINE : 0;
    char text[600];
    double window[2];
    volt_picture *strip = NULL;
    volt_status st;

    measure_views(s, &views, &height);
    width = volt_max_i64(2 * views + MARGIN, NARROWEST);
    snprintf(text, sizeof text, "%lld: %s", (long long)number, sample->changes);
    VOLT_TRY(st, done, volt_window_choose(window, s->before, s->o->channel));
    VOLT_TRY(st, done,
             volt_picture_create(
                 &strip, width,
                 draw_text(NULL, 0, y + height + MARGIN, width - 2 * MARGIN, text) + MARGIN,
                 paper));
    if (number == 1) {
        const bool narrow = (double)views < volt_text_width(heading[0][1], FONT) + 2 * MARGIN;

        volt_picture_text(strip, MARGIN, 0, FONT, ink, heading[narrow][0]);
        volt_picture_text(strip, (double)views + MARGIN, 0, FONT, ink, heading[narrow][1]);
    }
    VOLT_TRY(st, done, draw_planes(strip, s, MARGIN, y, s->before, s->labels_before, window));
    VOLT_TRY(st, done,
             draw_planes(strip, s, views + MARGIN, y, s->after, s->labels_after, window));
    draw_text(strip, MARGIN, y + height + MARGIN, width - 2 * MARGIN, text);
    s->strip[s->strips++] = strip;
    strip = NULL;
done:
    volt_picture_free(strip);
    return st;
}

/* The strips below each other. */
static volt_status write_sheet(const show *s)
{
    int64_t height = MARGIN, y = MARGIN;
    volt_picture *sheet = NULL;
    char *path = NULL;
    volt_status st;

    for (int64_t i = 0; i < s->strips; i++)
        height += s->strip[i]->height;
    if (height > VOLT_PICTURE_LARGEST)
        return volt_fail(VOLT_EINVAL,
                         "one picture cannot hold %lld sample%s: they need %lld rows of pixels",
                         (long long)s->strips, volt_s(s->strips), (long long)height);
    VOLT_TRY(st, done, volt_picture_create(&sheet, s->strip[0]->width, height, paper));
    for (int64_t i = 0; i < s->strips; i++) {
        const volt_picture *strip = s->strip[i];

        memcpy(sheet->rgb + 3 * y * sheet->width, strip->rgb,
               (size_t)(3 * strip->width * strip->height));
        y += strip->height;
    }
    VOLT_TRY(st, done, volt_path_join(&path, s->dir, "samples.png"));
    st = volt_png_write(path, sheet->rgb, sheet->width, sheet->height, 3);
done:
    volt_free(path);
    volt_picture_free(sheet);
    return st;
}

static const volt_show_samples_options defaults = {
    .size = sizeof defaults, .samples = 1, .view = 160};

void volt_show_samples_options_init(volt_show_samples_options *o, size_t size)
{
    volt_options_init(o, size, &defaults, sizeof defaults);
}

volt_status volt_show_samples(volt_shown_sample *out, const char *dir,
                              const volt_stored_case *c, const char *name,
                              const volt_show_samples_options *options)
{
    volt_show_samples_options o = defaults;
    show s = {.o = &o, .c = c, .dir = dir};
    volt_shown_sample sample;
    volt_status st;

    VOLT_TRY(st, done, volt_options_take(&o, sizeof o, options, "volt_show_samples_options"));
    VOLT_TRY(st, done, check_options(&o, c));
    VOLT_TRY(st, done,
             volt_alloc_zero(&s.strip, (size_t)o.samples, sizeof *s.strip, "samples"));
    VOLT_TRY(st, done, open_show(&s, name));
    VOLT_TRY(st, done, check_sheet(&s));
    VOLT_TRY(st, done, volt_make_dirs(dir));
    for (int64_t i = 1; i <= o.samples; i++) {
        VOLT_TRY(st, done, volt_check_cancelled(o.callbacks));
        VOLT_TRY(st, done, make_sample(&s, &sample, i));
        VOLT_TRY(st, done, write_sample(&s, i));
        VOLT_TRY(st, done, draw_sample(&s, &sample, i));
        if (out)
            out[i - 1] = sample;
        volt_report_progress(o.callbacks, "samples", i, o.samples);
    }
    st = write_sheet(&s);
done:
    close_show(&s);
    return st;
}
