#include "base/core/alloc.h"
#include "tests/kit/measure.h"
#include "tests/kit/queue_device.h"
#include "tests/kit/train_fixture.h"

#include "nets3d/data/loader.h"

static const int64_t patch[3] = {8, 8, 8};

static volt_loader_options options_for(const fixture *f, bool augment)
{
    return (volt_loader_options){.store = f->store,
                                 .names = f->names,
                                 .cases = 4,
                                 .classes = 3,
                                 .ignore = VOLT_NO_IGNORE_LABEL,
                                 .batch = 3,
                                 .rules = augment ? volt_augment_rules_nnunet(patch, 1)
                                                  : volt_augment_rules_none(patch, 1),
                                 .foreground = 0.33,
                                 .seed = 5,
                                 .threads = 1,
                                 .ring = 2};
}

static uint64_t fold(uint64_t hash, const void *data, size_t bytes)
{
    const unsigned char *at = data;

    for (size_t i = 0; i < bytes; i++)
        hash = (hash ^ at[i]) * 1099511628211u;
    return hash;
}

/* A hash per batch. */
static void hashes_of(uint64_t *out, int count, const volt_loader_options *o)
{
    const size_t voxels = (size_t)(o->batch * 8 * 8 * 8);
    volt_loader *l = NULL;
    volt_batch b;

    assert_ok(volt_loader_open(&l, o));
    for (int i = 0; i < count; i++) {
        assert_ok(volt_loader_next(l, &b));
        assert_int_equal(b.number, o->first + i);
        out[i] = fold(1, b.image, voxels * sizeof *b.image);
        out[i] = fold(out[i], b.labels, voxels * sizeof *b.labels);
        for (int64_t k = 0; k < o->batch; k++)
            out[i] = fold(out[i], b.name[k], strlen(b.name[k]));
    }
    volt_loader_close(l);
}

/* Batches depend on nothing but their number: not on threads, ring or where one starts. */
static void same_batches_for_any_threads(void **state)
{
    fixture *f = *state;
    volt_loader_options o = options_for(f, true);
    uint64_t expected[12], got[12];

    hashes_of(expected, 12, &o);
    for (int i = 1; i < 12; i++)
        assert_true(expected[i] != expected[0]);
    for (int threads = 2; threads <= 5; threads++) {
        o.threads = threads;
        o.ring = threads;
        hashes_of(got, 12, &o);
        assert_memory_equal(got, expected, sizeof got);
    }
    o.first = 7;
    hashes_of(got, 5, &o);
    assert_memory_equal(got, expected + 7, 5 * sizeof *got);
    o.first = 0;
    o.validation = true;
    hashes_of(got, 1, &o);
    assert_true(got[0] != expected[0]);
    o.validation = false;
    o.seed++;
    hashes_of(got, 1, &o);
    assert_true(got[0] != expected[0]);
}

static int64_t foreground_at_centre(const volt_batch *b, int64_t k)
{
    return b->labels[k * 512 + (4 * 8 + 4) * 8 + 4] > 0;
}

/* Of 3 samples round(3 * 0.67) = 2 are free; the third is centred on a stored voxel, unless the
 * border of the case keeps it from that. */
/* A batch of 6 in one, two and three parts has the same samples. */
static void parts_hold_the_batchs_samples(void **state)
{
    fixture *f = *state;
    volt_loader_options o = options_for(f, true);

    o.foreground = 0.5;
    for (int64_t parts = 2; parts <= 3; parts++) {
        volt_loader *whole = NULL, *split = NULL;
        volt_batch all, part;

        o.parts = 1;
        o.batch = 6;
        assert_ok(volt_loader_open(&whole, &o));
        o.parts = parts;
        o.batch = 6 / parts;
        o.threads = 2;
        assert_ok(volt_loader_open(&split, &o));
        for (int64_t i = 0; i < 4 * parts; i++) {
            const int64_t voxels = o.batch * 8 * 8 * 8, at = i % parts;

            if (at == 0)
                assert_ok(volt_loader_next(whole, &all));
            assert_ok(volt_loader_next(split, &part));
            assert_int_equal(part.number, i / parts);
            assert_int_equal(part.part, at);
            assert_int_equal(part.number, all.number);
            assert_memory_equal(part.image, all.image + at * voxels,
                                (size_t)voxels * sizeof *part.image);
            assert_memory_equal(part.labels, all.labels + at * voxels,
                                (size_t)voxels * sizeof *part.labels);
            for (int64_t k = 0; k < o.batch; k++)
                assert_string_equal(part.name[k], all.name[at * o.batch + k]);
        }
        volt_loader_close(whole);
        volt_loader_close(split);
    }
}

static void oversamples_foreground(void **state)
{
    volt_loader_options o = options_for(*state, false);
    volt_loader *l = NULL;
    int64_t forced = 0, any = 0, both = 0;
    volt_batch b;

    assert_ok(volt_loader_open(&l, &o));
    for (int i = 0; i < 60; i++) {
        assert_ok(volt_loader_next(l, &b));
        any += foreground_at_centre(&b, 0) + foreground_at_centre(&b, 1);
        forced += foreground_at_centre(&b, 2);
        for (int64_t v = 0; v < 512; v++) {
            if (b.labels[2 * 512 + v] > 0) {
                both++;
                break;
            }
        }
    }
    volt_loader_close(l);
    assert_int_equal(both, 60);
    assert_true(forced >= 55);
    assert_true(any < 60);
}

/* Labels at the centres of samples first..last of 100 batches, where no border of the case kept
 * the patch from lying around the voxel that was drawn. */
static void centres_of(int64_t count[4], const volt_loader_options *o, int64_t first,
                       int64_t last)
{
    volt_loader *l = NULL;
    volt_batch b;

    memset(count, 0, 4 * sizeof *count);
    assert_ok(volt_loader_open(&l, o));
    for (int i = 0; i < 100; i++) {
        assert_ok(volt_loader_next(l, &b));
        for (int64_t k = first; k <= last; k++) {
            const int64_t *corner = b.corner[k];
            if (corner[0] > 0 && corner[1] > 0 && corner[2] > 0)
                count[b.labels[k * 512 + (4 * 8 + 4) * 8 + 4]]++;
        }
    }
    volt_loader_close(l);
}

/* A region is drawn among those that a case holds, then one of its voxels. */
static void regions_are_oversampled(void **state)
{
    static const uint8_t cubes[3 * 2] = {0, 0, 0, 0, 0, 1}; /* the first has no label */
    static const uint8_t nested[3 * 2] = {0, 0, 1, 0, 1, 1};
    volt_loader_options o = options_for(*state, false);
    int64_t count[4];

    o.region_count = 2;
    o.regions = cubes;
    centres_of(count, &o, 2, 2);
    assert_true(count[2] > 50 && count[0] + count[1] == 0);
    o.regions = nested; /* half the draws are of the cubes alone, half of both by their size */
    centres_of(count, &o, 2, 2);
    assert_true(count[1] > 0 && count[2] > 1.5 * (double)count[1] && count[0] == 0);
}

/* With an ignore label every sample lies around an annotated voxel, background or not. */
static void samples_lie_around_annotated_voxels(void **state)
{
    volt_loader_options o = options_for(*state, false);
    int64_t count[4];
    fixture f;

    fixture_open_as(&f, "loader-ignored", fixture_ignore);
    o.store = f.store;
    o.names = f.names;
    o.ignore = 3;
    centres_of(count, &o, 0, 1);
    assert_true(count[0] > 20);
    assert_int_equal(count[3], 0);
    fixture_close(&f);
}

/* What the loader gives is what the case holds, 0 outside. */
static void samples_are_cut_from_cases(void **state)
{
    const fixture *f = *state;
    volt_loader_options o = options_for(f, false);
    volt_loader *l = NULL;
    int64_t compared = 0, outside = 0;
    volt_batch b;

    assert_ok(volt_loader_open(&l, &o));
    for (int i = 0; i < 40; i++) {
        assert_ok(volt_loader_next(l, &b));
        for (int64_t k = 0; k < 3; k++) {
            const volt_stored_case *c = NULL;
            char *path = NULL;
            assert_ok(volt_format(&path, "%s/%s" VOLT_CASE_SUFFIX, f->store, b.name[k]));
            assert_ok(volt_stored_case_open(&c, path));
            volt_free(path);
            for (int64_t v = 0; v < 512; v++) {
                const int64_t z = b.corner[k][0] + v / 64, y = b.corner[k][1] + v / 8 % 8,
                              x = b.corner[k][2] + v % 8;
                if (z < 0 || y < 0 || x < 0 || z >= c->shape[0] || y >= c->shape[1] ||
                    x >= c->shape[2]) {
                    assert_true(b.image[k * 512 + v] == 0 && b.labels[k * 512 + v] == 0);
                    outside++;
                } else {
                    const int64_t at = (z * c->shape[1] + y) * c->shape[2] + x;
                    assert_true(b.image[k * 512 + v] == c->data[at]);
                    assert_int_equal(b.labels[k * 512 + v], ((const int8_t *)c->labels)[at]);
                    compared++;
                }
            }
            volt_stored_case_close(c);
        }
    }
    volt_loader_close(l);
    assert_true(compared > 30000);
    assert_true(outside > 0);
}

/* A case damaged after opening the store is named by the next batch that is asked for. */
static void damage_is_reported_with_the_case(void **state)
{
    fixture *f = *state;
    volt_loader_options o = options_for(f, true);
    volt_loader *l = NULL;
    volt_batch b;
    volt_status st = VOLT_OK;
    char *path = NULL;
    FILE *file;

    assert_ok(volt_format(&path, "%s/tiny_2" VOLT_CASE_SUFFIX, f->store));
    file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 1500, SEEK_SET), 0); /* among the voxels */
    assert_int_equal(fputc(0x5a, file), 0x5a);
    assert_int_equal(fclose(file), 0);
    assert_ok(volt_loader_open(&l, &o));
    for (int i = 0; i < 50 && st == VOLT_OK; i++)
        st = volt_loader_next(l, &b);
    assert_int_equal(st, VOLT_EFORMAT);
    assert_non_null(strstr(volt_last_error(), "tiny_2"));
    volt_loader_close(l);
    fixture_store_case(path, 2, 0);
    volt_free(path);
}

static void labels_beyond_the_classes_are_refused(void **state)
{
    volt_loader_options o = options_for(*state, true);
    volt_loader *l = NULL;
    volt_batch b;
    volt_status st = VOLT_OK;

    o.classes = 2; /* the cubes are label 2 */
    assert_ok(volt_loader_open(&l, &o));
    for (int i = 0; i < 50 && st == VOLT_OK; i++)
        st = volt_loader_next(l, &b);
    assert_int_equal(st, VOLT_EDATA);
    assert_non_null(strstr(volt_last_error(), "label 2"));
    volt_loader_close(l);
}

static void wrong_channels_and_missing_cases_are_refused(void **state)
{
    fixture *f = *state;
    volt_loader_options o = options_for(f, true);
    const char *missing[1] = {"nobody"};
    volt_loader *l = NULL;

    o.rules = volt_augment_rules_nnunet(patch, 2);
    assert_fails(volt_loader_open(&l, &o), VOLT_EDATA, "1 channel; the network takes 2");
    o = options_for(f, true);
    o.names = missing;
    o.cases = 1;
    assert_fails(volt_loader_open(&l, &o), VOLT_EIO, "nobody");
    assert_fails(volt_loader_check_cases(NULL, &o), VOLT_EIO, "nobody");
    o.cases = 0;
    assert_fails(volt_loader_open(&l, &o), VOLT_EINVAL, "cases 0");
    assert_null(l);
}

/* Whether samples `first` .. `first` + b's of part `all` are those of `b`. */
static void assert_samples(const volt_batch *b, const volt_batch *all, int64_t first,
                           int64_t count)
{
    assert_int_equal(b->number, all->number);
    assert_int_equal(b->part, all->part);
    assert_memory_equal(b->image, all->image + first * 512,
                        (size_t)count * 512 * sizeof *b->image);
    assert_memory_equal(b->labels, all->labels + first * 512,
                        (size_t)count * 512 * sizeof *b->labels);
    for (int64_t k = 0; k < count; k++) {
        assert_string_equal(b->name[k], all->name[first + k]);
        assert_memory_equal(b->corner[k], all->corner[first + k], sizeof *b->corner);
    }
}

/* 9 samples of a batch on four ranks, 3 + 2 + 2 + 2, in one part and in two, made by threads
 * and by the caller: those of one rank, the forced ones too. */
static void ranks_make_their_own_samples(void **state)
{
    volt_loader_options o = options_for(*state, true);
    static const int64_t first[4] = {0, 3, 5, 7}, count[4] = {3, 2, 2, 2};

    o.batch = 9;
    for (int64_t parts = 1; parts <= 2; parts++) {
        volt_loader *whole = NULL, *own[4] = {NULL};
        volt_batch all, b;

        o.parts = parts;
        o.threads = 2;
        o.sample = o.samples = 0;
        assert_ok(volt_loader_open(&whole, &o));
        for (int r = 0; r < 4; r++) {
            o.sample = first[r];
            o.samples = r == 3 ? 0 : count[r]; /* 0: the others */
            o.threads = r;
            assert_ok(volt_loader_open(&own[r], &o));
        }
        for (int64_t i = 0; i < 5 * parts; i++) {
            assert_ok(volt_loader_next(whole, &all));
            for (int r = 0; r < 4; r++) {
                assert_ok(volt_loader_next(own[r], &b));
                assert_samples(&b, &all, first[r], count[r]);
            }
            for (int64_t k = 0; k < 9; k++)
                assert_string_equal(volt_loader_case(own[1], all.number, all.part * 9 + k),
                                    all.name[k]);
        }
        for (int r = 0; r < 4; r++)
            volt_loader_close(own[r]);
        volt_loader_close(whole);
    }
}

/* Three ranks make every third part, from wherever they start. */
static void ranks_take_turns(void **state)
{
    volt_loader_options o = options_for(*state, true);

    for (int64_t parts = 1; parts <= 2; parts++) {
        for (o.first = 0; o.first < 4; o.first++) {
            volt_loader *whole = NULL, *turn[3] = {NULL};
            volt_batch all, b;

            o.parts = parts;
            o.turn = o.turns = 0;
            assert_ok(volt_loader_open(&whole, &o));
            o.turns = 3;
            for (int r = 0; r < 3; r++) {
                o.turn = r;
                assert_ok(volt_loader_open(&turn[r], &o));
            }
            for (int64_t i = o.first * parts; i < o.first * parts + 7; i++) {
                assert_ok(volt_loader_next(whole, &all));
                assert_ok(volt_loader_next(turn[i % 3], &b));
                assert_samples(&b, &all, 0, o.batch);
            }
            for (int r = 0; r < 3; r++)
                volt_loader_close(turn[r]);
            volt_loader_close(whole);
        }
    }
    o.turn = 3;
    assert_fails(volt_loader_open(&(volt_loader *){NULL}, &o), VOLT_EINVAL, "turn 3 of 3");
    o.turn = o.turns = 0;
    o.sample = 2;
    o.samples = 2;
    assert_fails(volt_loader_open(&(volt_loader *){NULL}, &o), VOLT_EINVAL,
                 "2 samples from number 2 of 3");
}

/* Ranks compare the preprocessed cases by it. */
static void the_key_tells_the_cases(void **state)
{
    volt_loader_options o = options_for(*state, true);
    uint64_t key[3];

    assert_ok(volt_loader_check_cases(&key[0], &o));
    assert_ok(volt_loader_check_cases(&key[1], &o));
    o.cases--;
    assert_ok(volt_loader_check_cases(&key[2], &o));
    assert_true(key[0] == key[1] && key[0] != key[2]);
}

static void memory_is_as_announced(void **state)
{
    volt_loader_options o = options_for(*state, true);
    volt_loader *l = NULL;
    volt_batch b;

    const size_t before = volt_mem_current();
    for (o.threads = 0; o.threads <= 3; o.threads += 3) {
        o.samples = o.threads ? 0 : 2;
        measure_start();
        assert_ok(volt_loader_open(&l, &o));
        for (int i = 0; i < 10; i++)
            assert_ok(volt_loader_next(l, &b));
        assert_in_range(measure_peak() - before, volt_loader_bytes(&o),
                        volt_loader_bytes(&o) + 64 * 1024);
        volt_loader_close(l);
        l = NULL;
        assert_int_equal(volt_mem_current(), before);
    }
    for (int n = 1; n < 40; n++) { /* every allocation may fail */
        volt_mem_fail_after(n);
        const volt_status st = volt_loader_open(&l, &o);
        volt_mem_fail_after(0);
        if (st == VOLT_OK) {
            volt_loader_close(l);
            break;
        }
        assert_int_equal(st, VOLT_ENOMEM);
        assert_int_equal(volt_mem_current(), before);
    }
}

enum { BATCHES = 5, BATCH_BYTES = 3 * 8 * 8 * 8 * (int)sizeof(float) };

/* Uploads batches to a device that reads them as late as it may; `told`: the loader knows.
 * Gives what arrived, and the device's faults. */
static int64_t upload_batches(float *out, const fixture *f, bool told)
{
    volt_loader_options o = options_for(f, true);
    volt_device *dev = NULL;
    volt_stream *s = NULL;
    volt_loader *l = NULL;
    char *there = NULL;
    int64_t faults;

    assert_ok(volt_device_open(&dev, "reference"));
    queue_device_open(&dev, (queue_options){.seed = 0});
    assert_ok(volt_stream_create(&s, dev));
    assert_ok(dev->alloc(dev, (void **)&there, BATCHES * BATCH_BYTES, "a test"));
    o.ring = 1;
    o.device = dev;
    assert_ok(volt_loader_open(&l, &o));
    for (int i = 0; i < BATCHES; i++) {
        volt_batch b;
        assert_ok(volt_loader_next(l, &b));
        assert_ok(dev->upload(dev, there + i * BATCH_BYTES, b.image, BATCH_BYTES, s));
        if (told)
            assert_ok(volt_loader_uploaded(l, s));
    }
    (void)dev->download(dev, out, there, BATCHES * BATCH_BYTES, s);
    faults = queue_device_counts(dev).faults;
    volt_loader_close(l);
    volt_stream_destroy(dev, s);
    dev->release(dev, there);
    volt_device_close(dev);
    return faults;
}

/* Batches lie in pinned memory, and none is overwritten before the device has read it. */
static void batches_stay_until_they_are_read(void **state)
{
    static float got[BATCHES * BATCH_BYTES / sizeof(float)];
    fixture *f = *state;
    volt_loader_options o = options_for(f, true);
    volt_loader *l = NULL;

    assert_int_equal(upload_batches(got, f, true), 0);
    assert_ok(volt_loader_open(&l, &o));
    assert_ok(volt_loader_uploaded(l, NULL)); /* without a device: nothing to wait for */
    for (int i = 0; i < BATCHES; i++) {
        volt_batch b;
        assert_ok(volt_loader_next(l, &b));
        assert_memory_equal(b.image, (char *)got + i * BATCH_BYTES, BATCH_BYTES);
    }
    volt_loader_close(l);
    assert_true(upload_batches(got, f, false) > 0);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(batches_stay_until_they_are_read),
        cmocka_unit_test(same_batches_for_any_threads),
        cmocka_unit_test(parts_hold_the_batchs_samples),
        cmocka_unit_test(ranks_make_their_own_samples),
        cmocka_unit_test(ranks_take_turns),
        cmocka_unit_test(the_key_tells_the_cases),
        cmocka_unit_test(oversamples_foreground),
        cmocka_unit_test(regions_are_oversampled),
        cmocka_unit_test(samples_lie_around_annotated_voxels),
        cmocka_unit_test(samples_are_cut_from_cases),
        cmocka_unit_test(damage_is_reported_with_the_case),
        cmocka_unit_test(labels_beyond_the_classes_are_refused),
        cmocka_unit_test(wrong_channels_and_missing_cases_are_refused),
        cmocka_unit_test(memory_is_as_announced),
    };

    return fixture_run_tests(tests, "loader-store");
}
