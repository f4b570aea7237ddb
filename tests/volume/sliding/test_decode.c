#include "volume/sliding/decode.h"

#include <math.h>
#include "base/core/alloc.h"
#include "base/rng.h"
#include "tests/kit/measure.h"
#include "tests/kit/fixture.h"
#include "volume/grid/half.h"

static npy fixture(const char *name, const char *part, const char *descr)
{
    char path[128];

    snprintf(path, sizeof path, "volume/argmax_%s_%s", name, part);
    return npy_read(path, descr);
}

static volt_decode_options one_set(int64_t classes, const int64_t from[3], const int64_t to[3],
                                   int axis, int threads)
{
    volt_decode_options o = volt_decode_defaults();

    o.classes = classes;
    o.threads = threads;
    memcpy(o.set[0].shape, from, sizeof o.set[0].shape);
    o.set[0].separate_axis = axis;
    memcpy(o.to, to, sizeof o.to);
    return o;
}

/* Labels may differ from the float64 peer where two classes are nearly equal, nowhere else. */
static void check_argmax(const char *name, volt_dtype dtype, int axis)
{
    npy in = fixture(name, "in", "<f4"), out = fixture(name, "out", "|u1");
    npy margin = fixture(name, "margin", "<f4");
    const int64_t low[3] = {1, 2, 3};
    const int64_t n[3] = {out.shape[0] + 2, out.shape[1] + 3, out.shape[2] + 5};
    const volt_logits logits = {in.data, 0, in.shape[1], 0.125f, NULL};
    const volt_grid g = volt_grid_make(n, 1, (double[]){1, 1, 1});
    volt_volume *v[2] = {NULL, NULL};
    int64_t compared = 0;

    for (int i = 0; i < 2; i++) {
        const volt_decode_options o =
            one_set(in.shape[0], in.shape + 1, out.shape, axis, 1 + 2 * i);
        const size_t before = volt_mem_current();
        volt_decoder *d = NULL;
        measure_start();
        assert_ok(volt_decoder_open(&d, &o));
        assert_int_equal(measure_peak() - before, volt_decoder_bytes(&o));
        assert_ok(volt_volume_create(&v[i], &g, dtype));
        memset(v[i]->data, 77, volt_volume_bytes(v[i]));
        assert_ok(volt_decode_labels(d, v[i], low, volt_box_of_shape(out.shape), &logits));
        volt_decoder_free(d);
    }
    assert_memory_equal(v[0]->data, v[1]->data, volt_volume_bytes(v[0]));
    for (int64_t i = 0; i < volt_grid_voxels(&g); i++) {
        const int64_t z = i / (n[1] * n[2]) - low[0], y = i / n[2] % n[1] - low[1];
        const int64_t x = i % n[2] - low[2];
        const int found =
            dtype == VOLT_U8 ? ((uint8_t *)v[0]->data)[i] : ((uint16_t *)v[0]->data)[i];
        if (z < 0 || y < 0 || x < 0 || z >= out.shape[0] || y >= out.shape[1] ||
            x >= out.shape[2]) {
            assert_int_equal(found, dtype == VOLT_U8 ? 77 : 77 * 257);
            continue;
        }
        const int64_t k = (z * out.shape[1] + y) * out.shape[2] + x;
        if (((float *)margin.data)[k] > 1e-3f) {
            assert_int_equal(found, ((uint8_t *)out.data)[k]);
            compared++;
        }
    }
    assert_true(compared > out.count * 9 / 10);
    volt_volume_free(v[1]);
    volt_volume_free(v[0]);
    free(margin.data);
    free(out.data);
    free(in.data);
}

static void scores_go_straight_to_labels(void **state)
{
    (void)state;
    check_argmax("plain", VOLT_U8, VOLT_NO_AXIS);
    check_argmax("plain", VOLT_U16, VOLT_NO_AXIS);
    check_argmax("separate", VOLT_U8, 0);
    check_argmax("same", VOLT_U16, VOLT_NO_AXIS);
}

static void the_lowest_of_equal_classes_wins(void **state)
{
    static const int64_t one[3] = {1, 1, 1}, two[3] = {2, 2, 2}, origin[3] = {0, 0, 0};
    static const uint16_t values[3] = {7, 300, 9};
    const float data[3] = {1, 1, 0};
    const volt_logits logits = {data, 0, 1, 1, NULL};
    const volt_grid g = volt_grid_make(two, 1, (double[]){1, 1, 1});
    volt_decode_options o = one_set(3, one, two, VOLT_NO_AXIS, 2);
    volt_volume *v = NULL;
    volt_decoder *d = NULL;

    (void)state;
    assert_ok(volt_volume_create(&v, &g, VOLT_U8));
    memset(v->data, 9, 8);
    assert_ok(volt_decoder_open(&d, &o));
    assert_ok(volt_decode_labels(d, v, origin, volt_box_of_shape(two), &logits));
    for (int i = 0; i < 8; i++)
        assert_int_equal(((uint8_t *)v->data)[i], 0);
    assert_fails(
        volt_decode_labels(d, v, (int64_t[]){0, 1, 0}, volt_box_of_shape(two), &logits),
        VOLT_EINVAL, "exceed");
    assert_fails(volt_decode_labels(d, v, origin, (volt_box){{0, 0, 0}, {2, 2, 3}}, &logits),
                 VOLT_EINVAL, "exceed");
    v->dtype = VOLT_I8;
    assert_fails(volt_decode_labels(d, v, origin, volt_box_of_shape(two), &logits), VOLT_EINVAL,
                 "int8");
    v->dtype = VOLT_U8;
    volt_decoder_free(d);
    o.value = values;
    assert_ok(volt_decoder_open(&d, &o));
    assert_fails(volt_decode_labels(d, v, origin, volt_box_of_shape(two), &logits), VOLT_EINVAL,
                 "labels up to 300");
    volt_decoder_free(d);
    o.sets = VOLT_DECODE_MAX_SETS + 1;
    assert_fails(volt_decoder_open(&d, &o), VOLT_EINVAL, "networks");
    volt_volume_free(v);
}

/* ---- against probabilities computed slowly ---- */

#define CLASSES 4
static const int64_t result[3] = {9, 11, 13}, origin[3] = {0, 0, 0};

/* Two sets on grids of their own, the second with a separate axis. */
typedef struct made {
    volt_decode_options o;
    volt_volume *score[2];
    volt_logits logits[2];
    double *probability; /* (CLASSES, result), the mean over the sets */
    int64_t voxels;
} made;

static void make(made *m, bool regions, int sets)
{
    static const int64_t shapes[2][3] = {{6, 8, 13}, {5, 14, 7}};
    static const uint16_t values[CLASSES] = {5, 2, 9, 1};
    volt_rng rng = volt_rng_open(4, 0, 0, VOLT_RNG_TEST);

    *m = (made){.o = volt_decode_defaults(), .voxels = 9 * 11 * 13};
    m->o.classes = CLASSES;
    m->o.regions = regions;
    m->o.value = values;
    m->o.sets = sets;
    memcpy(m->o.to, result, sizeof result);
    m->o.threads = 3;
    assert_ok(volt_alloc_zero(&m->probability, (size_t)(CLASSES * m->voxels), sizeof(double),
                              "a test"));
    for (int s = 0; s < sets; s++) {
        const volt_grid g = volt_grid_make(shapes[s], CLASSES, (double[]){1, 1, 1});
        const int axis = s == 1 ? 0 : VOLT_NO_AXIS;
        const double scale = s == 1 ? 0.5 : 1;
        volt_volume *big = NULL;
        assert_ok(volt_volume_create(&m->score[s], &g, VOLT_F32));
        for (int64_t i = 0; i < CLASSES * volt_grid_voxels(&g); i++)
            ((float *)m->score[s]->data)[i] = 6 * (float)volt_rng_normal(&rng);
        memcpy(m->o.set[s].shape, shapes[s], sizeof shapes[s]);
        m->o.set[s].separate_axis = axis;
        m->logits[s] = (volt_logits){m->score[s]->data, 0, shapes[s][0], (float)scale, NULL};
        assert_ok(volt_resample_image(&big, m->score[s], result, VOLT_LINEAR, axis, 1));
        for (int64_t i = 0; i < m->voxels; i++) {
            const float *x = (const float *)big->data + i;
            double sum = 0;
            for (int c = 0; c < CLASSES; c++)
                sum += exp(scale * (double)x[c * m->voxels]);
            for (int c = 0; c < CLASSES; c++) {
                const double e = exp(scale * (double)x[c * m->voxels]);
                m->probability[c * m->voxels + i] += (regions ? e / (1 + e) : e / sum) / sets;
            }
        }
        volt_volume_free(big);
    }
}

static void unmake(made *m)
{
    volt_free(m->probability);
    volt_volume_free(m->score[0]);
    volt_volume_free(m->score[1]);
}

/* What `label` should be at voxel i; -1 where two answers are nearly as good. */
static int wanted(const made *m, int64_t i)
{
    int best = 0, painted = 0;

    for (int c = 0; c < CLASSES; c++) {
        const double p = m->probability[c * m->voxels + i];
        if (m->o.regions && fabs(p - 0.5) < 1e-5)
            return -1;
        if (p > 0.5)
            painted = m->o.value[c];
        if (p > m->probability[best * m->voxels + i])
            best = c;
    }
    for (int c = 0; c < CLASSES && !m->o.regions; c++) {
        if (c != best &&
            m->probability[best * m->voxels + i] - m->probability[c * m->voxels + i] < 1e-5)
            return -1;
    }
    return m->o.regions ? painted : m->o.value[best];
}

static const volt_box some_part = {{2, 3, 4}, {5, 9, 12}};

static bool in_part(int64_t i)
{
    const int64_t z = i / 143, y = i / 13 % 11, x = i % 13;

    return z >= some_part.low[0] && z < some_part.high[0] && y >= some_part.low[1] &&
           y < some_part.high[1] && x >= some_part.low[2] && x < some_part.high[2];
}

/* `norms` of the part alone give the same there and leave the rest. */
static void check_probability_in_part(volt_decoder *d, const made *m, volt_volume *whole,
                                      float *norms)
{
    volt_volume *p = NULL;
    int c = CLASSES - 1;

    assert_ok(volt_volume_create(&p, &whole->grid, VOLT_F32));
    for (int64_t i = 0; i < m->voxels; i++)
        ((float *)p->data)[i] = -7;
    for (int64_t i = 0; i < m->o.sets * m->voxels; i++)
        norms[i] = NAN;
    volt_decode_norms(d, norms, some_part, m->logits);
    assert_ok(volt_decode_probability(d, p, origin, some_part, c, m->logits,
                                      m->o.regions ? NULL : norms));
    for (int64_t i = 0; i < m->voxels; i++)
        assert_true(((float *)p->data)[i] == (in_part(i) ? ((float *)whole->data)[i] : -7));
    volt_volume_free(p);
}

static void check_made(bool regions, int sets)
{
    const volt_grid g = volt_grid_make(result, 1, (double[]){1, 1, 1});
    volt_volume *labels = NULL, *part = NULL;
    volt_decoder *d = NULL;
    volt_volume *p = NULL;
    float *norms;
    int64_t compared = 0;
    made m;

    make(&m, regions, sets);
    assert_ok(volt_decoder_open(&d, &m.o));
    assert_ok(volt_volume_create(&labels, &g, VOLT_U8));
    assert_ok(volt_volume_create(&part, &g, VOLT_U8));
    assert_ok(volt_decode_labels(d, labels, origin, volt_box_of_shape(result), m.logits));
    for (int64_t i = 0; i < m.voxels; i++) {
        const int want = wanted(&m, i);
        if (want >= 0) {
            assert_int_equal(((uint8_t *)labels->data)[i], want);
            compared++;
        }
    }
    assert_true(compared > m.voxels * 95 / 100);
    /* A box of it alone. */
    assert_ok(volt_decode_labels(d, part, origin, some_part, m.logits));
    for (int64_t i = 0; i < m.voxels; i++)
        assert_int_equal(((uint8_t *)part->data)[i],
                         in_part(i) ? ((uint8_t *)labels->data)[i] : 0);
    assert_ok(volt_alloc(&norms, (size_t)(sets * m.voxels) * sizeof *norms, "a test"));
    assert_ok(volt_volume_create(&p, &g, VOLT_F32));
    volt_decode_norms(d, norms, volt_box_of_shape(result), m.logits);
    for (int c = 0; c < CLASSES; c++) {
        assert_ok(volt_decode_probability(d, p, origin, volt_box_of_shape(result), c, m.logits,
                                          regions ? NULL : norms));
        for (int64_t i = 0; i < m.voxels; i++)
            assert_true(fabs((double)((float *)p->data)[i] - m.probability[c * m.voxels + i]) <
                        3e-6);
    }
    check_probability_in_part(d, &m, p, norms);
    volt_volume_free(p);
    volt_free(norms);
    volt_volume_free(part);
    volt_volume_free(labels);
    volt_decoder_free(d);
    unmake(&m);
}

static void decoding_agrees_with_slow_code(void **state)
{
    (void)state;
    for (int sets = 1; sets <= 2; sets++) {
        check_made(false, sets);
        check_made(true, sets);
    }
}

static void regions_have_masks_of_their_own(void **state)
{
    const volt_grid g = volt_grid_make(result, CLASSES, (double[]){1, 1, 1});
    volt_volume *masks = NULL;
    volt_decoder *d = NULL;
    int64_t set = 0;
    made m;

    (void)state;
    make(&m, true, 2);
    assert_ok(volt_decoder_open(&d, &m.o));
    assert_ok(volt_volume_create(&masks, &g, VOLT_U8));
    assert_ok(volt_decode_masks(d, masks, origin, volt_box_of_shape(result), m.logits));
    for (int64_t i = 0; i < CLASSES * m.voxels; i++) {
        const int bit = ((uint8_t *)masks->data)[i];
        if (fabs(m.probability[i] - 0.5) > 1e-5)
            assert_int_equal(bit, m.probability[i] > 0.5);
        set += bit;
    }
    assert_true(set > m.voxels && set < 3 * m.voxels);
    volt_volume_free(masks);
    volt_decoder_free(d);
    unmake(&m);
}

/* Slices arriving one after the other, as few as are needed held, give the same labels. */
static void parts_give_what_the_whole_gives(void **state)
{
    const volt_grid g = volt_grid_make(result, 1, (double[]){1, 1, 1});
    volt_volume *whole = NULL, *parts = NULL;
    volt_decoder *d = NULL;
    int64_t ready = 0;
    made m;

    (void)state;
    make(&m, false, 1);
    assert_ok(volt_decoder_open(&d, &m.o));
    assert_ok(volt_volume_create(&whole, &g, VOLT_U8));
    assert_ok(volt_volume_create(&parts, &g, VOLT_U8));
    assert_ok(volt_decode_labels(d, whole, origin, volt_box_of_shape(result), m.logits));
    for (int64_t done = 1; done <= 6; done++) {
        const int64_t low = volt_decoder_needs(d, ready), now = volt_decoder_ready(d, done);
        const int64_t held = done - low;
        volt_box box = {{ready, 0, 0}, {now, result[1], result[2]}};
        float *some;
        assert_true(held >= 1 && held <= 2);
        assert_ok(
            volt_alloc(&some, (size_t)(CLASSES * held * 8 * 13) * sizeof *some, "a test"));
        for (int64_t c = 0; c < CLASSES; c++)
            memcpy(some + c * held * 104, (const float *)m.score[0]->data + (c * 6 + low) * 104,
                   (size_t)(held * 104) * sizeof *some);
        assert_ok(volt_decode_labels(d, parts, origin, box,
                                     &(volt_logits){some, low, held, m.logits[0].scale, NULL}));
        volt_free(some);
        ready = now;
    }
    assert_int_equal(ready, result[0]);
    assert_memory_equal(whole->data, parts->data, volt_volume_bytes(whole));
    volt_volume_free(parts);
    volt_volume_free(whole);
    volt_decoder_free(d);
    unmake(&m);
}

/* A decoder of some slices counts from its first and gives what the whole gives there. */
static void check_window(bool regions, int sets, int64_t first, int64_t slices)
{
    const int64_t own[3] = {slices, result[1], result[2]};
    const volt_grid all = volt_grid_make(result, 1, (double[]){1, 1, 1});
    const volt_grid some = volt_grid_make(own, 1, (double[]){1, 1, 1});
    const int64_t plane = result[1] * result[2], at = first * plane, count = slices * plane;
    volt_volume *labels[2] = {NULL, NULL}, *p[2] = {NULL, NULL};
    volt_decoder *d = NULL;
    made m;

    make(&m, regions, sets);
    for (int k = 0; k < 2; k++) {
        const volt_box box = volt_box_of_shape(k ? own : result);
        float *norms;
        m.o.first = k ? first : 0;
        m.o.slices = k ? slices : 0;
        assert_ok(volt_alloc(&norms, (size_t)(sets * m.voxels) * sizeof *norms, "a test"));
        assert_ok(volt_decoder_open(&d, &m.o));
        assert_ok(volt_volume_create(&labels[k], k ? &some : &all, VOLT_U8));
        assert_ok(volt_volume_create(&p[k], k ? &some : &all, VOLT_F32));
        assert_ok(volt_decode_labels(d, labels[k], origin, box, m.logits));
        volt_decode_norms(d, norms, box, m.logits);
        assert_ok(volt_decode_probability(d, p[k], origin, box, 1, m.logits, norms));
        volt_decoder_free(d);
        volt_free(norms);
    }
    assert_memory_equal(labels[1]->data, (uint8_t *)labels[0]->data + at, (size_t)count);
    assert_memory_equal(p[1]->data, (float *)p[0]->data + at, (size_t)count * sizeof(float));
    for (int k = 0; k < 2; k++) {
        volt_volume_free(labels[k]);
        volt_volume_free(p[k]);
    }
    unmake(&m);
}

static void windows_give_what_the_whole_gives(void **state)
{
    volt_decoder *d = NULL;
    made m;

    (void)state;
    check_window(false, 1, 0, 4);
    check_window(false, 2, 3, 5);
    check_window(true, 1, 8, 1);
    check_window(true, 2, 0, 9);
    make(&m, false, 1);
    m.o.first = 5;
    m.o.slices = 5;
    assert_fails(volt_decoder_open(&d, &m.o), VOLT_EINVAL, "slices 5 to 10 of 9");
    unmake(&m);
}

/* Scores in half precision give the labels of the same scores in float32. */
static void halves_decode_as_floats(void **state)
{
    const volt_grid g = volt_grid_make(result, 1, (double[]){1, 1, 1});
    volt_volume *labels[2] = {NULL, NULL};
    volt_decoder *d = NULL;
    uint16_t *half;
    made m;

    (void)state;
    make(&m, false, 2);
    for (int s = 0; s < 2; s++) {
        float *x = m.score[s]->data;
        for (int64_t i = 0; i < CLASSES * volt_grid_voxels(&m.score[s]->grid); i++)
            x[i] = volt_half_to_float(volt_float_to_half(x[i]));
    }
    for (int k = 0; k < 2; k++) {
        for (int s = 0; s < 2; s++)
            m.o.set[s].separate_axis = s == 1 ? 0 : VOLT_NO_AXIS;
        assert_ok(volt_decoder_open(&d, &m.o));
        assert_ok(volt_volume_create(&labels[k], &g, VOLT_U8));
        const int64_t count = CLASSES * volt_grid_voxels(&m.score[0]->grid);
        assert_ok(volt_alloc(&half, (size_t)count * sizeof *half, "a test"));
        for (int64_t i = 0; k == 1 && i < count; i++)
            half[i] = volt_float_to_half(((float *)m.score[0]->data)[i]);
        if (k == 1)
            m.logits[0].half = half;
        assert_ok(
            volt_decode_labels(d, labels[k], origin, volt_box_of_shape(result), m.logits));
        volt_free(half);
        volt_decoder_free(d);
    }
    assert_memory_equal(labels[0]->data, labels[1]->data, volt_volume_bytes(labels[0]));
    volt_volume_free(labels[1]);
    volt_volume_free(labels[0]);
    unmake(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_go_straight_to_labels),
        cmocka_unit_test(the_lowest_of_equal_classes_wins),
        cmocka_unit_test(decoding_agrees_with_slow_code),
        cmocka_unit_test(regions_have_masks_of_their_own),
        cmocka_unit_test(windows_give_what_the_whole_gives),
        cmocka_unit_test(halves_decode_as_floats),
        cmocka_unit_test(parts_give_what_the_whole_gives),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
