/* Batches of ranks that split samples: every box has the bits of the whole sample. */
#include "base/core/alloc.h"
#include "nets3d/train/feed.h"
#include "parallel/ranks.h"
#include "tests/kit/measure.h"
#include "tests/kit/train_fixture.h"

static const int64_t patch[3] = {8, 6, 10};

static volt_loader_options loader_for(const fixture *f)
{
    return (volt_loader_options){.store = f->store,
                                 .names = f->names,
                                 .cases = 4,
                                 .classes = 3,
                                 .ignore = VOLT_NO_IGNORE_LABEL,
                                 .batch = 3,
                                 .rules = volt_augment_rules_nnunet(patch, 1),
                                 .foreground = 0.33,
                                 .seed = 5,
                                 .threads = 1,
                                 .ring = 2};
}

/* What each rank of a group checks: its boxes against the loader's whole samples. */
typedef struct task {
    const volt_loader_options *options;
    const volt_box *box; /* of each rank */
    int batches;
} task;

static int64_t offset_of(const int64_t n[3], int64_t z, int64_t y, int64_t x)
{
    return (z * n[1] + y) * n[2] + x;
}

/* Number of voxels of the box that differ from the whole. */
static int64_t differing(const volt_batch *part, const volt_batch *whole, int64_t samples,
                         const int64_t shape[3], volt_box box)
{
    int64_t wrong = 0, at = 0;

    for (int64_t n = 0; n < samples; n++) {
        const int64_t first = n * shape[0] * shape[1] * shape[2];
        for (int64_t z = box.low[0]; z < box.high[0]; z++) {
            for (int64_t y = box.low[1]; y < box.high[1]; y++) {
                for (int64_t x = box.low[2]; x < box.high[2]; x++, at++) {
                    const int64_t from = first + offset_of(shape, z, y, x);
                    wrong += memcmp(&part->image[at], &whole->image[from], sizeof(float)) != 0;
                    wrong += part->labels[at] != whole->labels[from];
                }
            }
        }
    }
    return wrong;
}

static volt_status compare(volt_comm *comm, void *context)
{
    const task *t = context;
    const volt_box box = t->box[volt_comm_rank(comm)];
    const int64_t samples = t->options->samples ? t->options->samples : t->options->batch;
    volt_feed_options o = {.loader = *t->options, .group = comm, .box = box};
    volt_loader *loader = NULL;
    volt_feed *feed = NULL;
    volt_batch part, whole;
    volt_status st;

    VOLT_TRY(st, done, volt_loader_open(&loader, t->options));
    VOLT_TRY(st, done, volt_feed_open(&feed, &o));
    for (int i = 0; i < t->batches; i++) {
        VOLT_TRY(st, done, volt_loader_next(loader, &whole));
        VOLT_TRY(st, done, volt_feed_next(feed, &part));
        if (part.number != whole.number || part.part != whole.part ||
            differing(&part, &whole, samples, t->options->rules.patch, box) != 0) {
            st = volt_fail(VOLT_EDATA, "batch %d differs", i);
            goto done;
        }
        if (strcmp(volt_feed_case(feed, part.number, part.part * t->options->batch),
                   volt_loader_case(loader, part.number, part.part * t->options->batch)) != 0)
            st = volt_fail(VOLT_EDATA, "the case of batch %d differs", i);
    }
done:
    volt_feed_close(feed);
    volt_loader_close(loader);
    return st;
}

/* One rank, two unequal parts along z, six boxes; batches in parts, some samples only. */
static void boxes_are_those_of_whole_samples(void **state)
{
    static const volt_box one[] = {{{0, 0, 0}, {8, 6, 10}}};
    static const volt_box two[] = {{{0, 0, 0}, {6, 6, 10}}, {{6, 0, 0}, {8, 6, 10}}};
    static const volt_box six[] = {{{0, 0, 0}, {4, 2, 10}}, {{0, 2, 0}, {4, 4, 10}},
                                   {{0, 4, 0}, {4, 6, 10}}, {{4, 0, 0}, {8, 2, 10}},
                                   {{4, 2, 0}, {8, 4, 10}}, {{4, 4, 0}, {8, 6, 10}}};
    static const volt_box *const boxes[] = {one, two, six};
    static const int ranks[] = {1, 2, 6};

    for (int i = 0; i < 3; i++) {
        volt_loader_options o = loader_for(*state);
        task t = {&o, boxes[i], 8};

        assert_ok(volt_ranks_run(ranks[i], compare, &t));
        o.parts = 3;
        o.first = 5;
        o.threads = 0;
        assert_ok(volt_ranks_run(ranks[i], compare, &t));
        o.sample = 1;
        o.samples = 2;
        o.validation = true;
        o.threads = 2;
        assert_ok(volt_ranks_run(ranks[i], compare, &t));
        o.rules = volt_augment_rules_none(patch, 1); /* each rank cuts its own box */
        assert_ok(volt_ranks_run(ranks[i], compare, &t));
    }
}

/* Boxes of more than one message. */
static void large_boxes_are_those_of_whole_samples(void **state)
{
    static const int64_t large[3] = {90, 128, 128};
    static const volt_box two[] = {{{0, 0, 0}, {90, 64, 128}}, {{0, 64, 0}, {90, 128, 128}}};
    volt_loader_options o = loader_for(*state);
    task t = {&o, two, 2};

    o.batch = 2;
    o.rules = volt_augment_rules_none(large, 1);
    assert_int_equal(volt_feed_box_traffic(2, 1, two[0]).messages, 3);
    assert_int_equal(volt_feed_box_traffic(2, 1, two[0]).bytes, 2 * 90 * 64 * 128 * 6);
    assert_ok(volt_ranks_run(2, compare, &t));
}

/* The failure of the rank that makes a batch reaches those that wait for their boxes. */
static void a_bad_case_reaches_the_whole_group(void **state)
{
    static const volt_box two[] = {{{0, 0, 0}, {4, 6, 10}}, {{4, 0, 0}, {8, 6, 10}}};
    const fixture *f = *state;
    volt_loader_options o = loader_for(f);
    task t = {&o, two, 30};

    o.classes = 2; /* label 2 is none */
    assert_fails(volt_ranks_run(2, compare, &t), VOLT_EDATA, "tiny_");
}

static volt_status count_bytes(volt_comm *comm, void *context)
{
    const task *t = context;
    const int rank = volt_comm_rank(comm);
    volt_feed_options o = {.loader = *t->options, .group = comm, .box = t->box[rank]};
    volt_feed *feed = NULL;
    volt_mem_scope scope;
    volt_batch b;
    size_t announced, peak;
    volt_status st;

    volt_mem_scope_enter(&scope);
    VOLT_TRY(st, done, volt_feed_open(&feed, &o));
    for (int i = 0; i < 6; i++)
        VOLT_TRY(st, done, volt_feed_next(feed, &b));
done:
    peak = volt_mem_scope_peak(&scope);
    volt_feed_close(feed);
    volt_mem_scope_leave(&scope);
    announced = volt_feed_bytes(t->options, volt_comm_size(comm), t->box[0]);
    if (st == VOLT_OK && (peak > announced + 64 * 1024 || peak + 64 * 1024 < announced))
        st = volt_fail(VOLT_EDATA, "rank %d: %zu bytes, announced %zu", rank, peak, announced);
    return st;
}

static void a_feeds_memory_is_announced(void **state)
{
    static const volt_box two[] = {{{0, 0, 0}, {4, 6, 10}}, {{4, 0, 0}, {8, 6, 10}}};
    volt_loader_options o = loader_for(*state);
    task t = {&o, two, 0};

    assert_ok(
        volt_ranks_run(1, count_bytes, &(task){&o, &(volt_box){{0, 0, 0}, {8, 6, 10}}, 0}));
    assert_ok(volt_ranks_run(2, count_bytes, &t));
    o.validation = true;
    o.rules = volt_augment_rules_none(patch, 1);
    assert_ok(volt_ranks_run(2, count_bytes, &t));
}

/* Of a sample of 4 channels that four ranks split, a rank holds one whole, a channel to augment
 * with and its own box; for validation only the box. */
static void ranks_hold_little_more_than_a_sample(void **state)
{
    static const int64_t brain[3] = {160, 240, 240};
    static const volt_box quarter = {{0, 0, 0}, {80, 120, 240}};
    const size_t channel = 160 * 240 * 240 * sizeof(float), mib = 1 << 20;
    const size_t sample = 4 * channel + channel / 2;
    volt_loader_options o = loader_for(*state);

    o.batch = 1;
    o.rules = volt_augment_rules_nnunet(brain, 4);
    assert_true(volt_feed_bytes(&o, 4, quarter) < sample + channel + sample / 4 + 5 * mib);
    assert_true(volt_feed_bytes(&o, 1, quarter) < 2 * sample + channel + mib);
    o.validation = true;
    o.ring = 1;
    o.rules = volt_augment_rules_none(brain, 4);
    assert_true(volt_feed_bytes(&o, 4, quarter) < sample / 4 + mib);
    assert_true(volt_feed_bytes(&o, 1, quarter) < sample + mib);
}

int main(void)
{
    struct CMUnitTest tests[] = {
        cmocka_unit_test(boxes_are_those_of_whole_samples),
        cmocka_unit_test(large_boxes_are_those_of_whole_samples),
        cmocka_unit_test(ranks_hold_little_more_than_a_sample),
        cmocka_unit_test(a_bad_case_reaches_the_whole_group),
        cmocka_unit_test(a_feeds_memory_is_announced),
    };

    return fixture_run_tests(tests, "feed-store");
}
