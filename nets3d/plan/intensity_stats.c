/* Statistics of a whole data set's sampled intensities, bit-identical to numpy's.
 *
 * numpy sees one array: the samples of all cases, one after the other. Its sums are pairwise:
 * an array of more than 128 values is halved (at a multiple of 8) until its parts are that
 * short; a part is summed in eight interleaved sums; the parts are added up along the same
 * tree. float32 arrays are summed in float32, so another order would give other digits. Here
 * the array never exists. Each case sums the subtrees that lie inside it, in any thread; the
 * few parts that reach over the border of two cases keep their values; combine() walks the tree
 * once more and puts both together.
 *
 * Percentiles need the values at a few ranks. A first pass counts the upper 16 bits of every
 * value, which tells for each rank in which of 65536 ranges it lies; a second pass counts the
 * lower 16 bits within these ranges. The passes also compute the sum and the sum of squares.
 */
#include "nets3d/plan/intensity_samples.h"

#include <math.h>
#include <pthread.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/system/tasks.h"

enum {
    CHUNK = 4096,
    LEAF = 128,      /* values that numpy adds up without dividing them further */
    MOST_NODES = 64, /* of a case: two for each of at most 21 levels */
    RANKS = 8,       /* smallest, two around each of three percentiles, largest */
    HALF = 65536,
    RANGES = 64 /* most tasks */
};

/* -- numpy's sums ---------------------------------------------------------------------------
 */

/* What is added up: values, or squares of their distances from `mean`. */
typedef struct summing {
    bool single; /* in float32, otherwise in float64 */
    bool squares;
    double mean;
} summing;

/* Eight sums of every eighth value, as numpy's pairwise summation (loops.c.src) has them. */
static float sum_single(const float *v, int64_t n)
{
    float part[8], sum = -0.0f;
    int64_t i = 8;

    if (n < 8) {
        for (i = 0; i < n; i++)
            sum += v[i];
        return sum;
    }
    memcpy(part, v, sizeof part);
    for (; i < n - n % 8; i += 8) {
        for (int k = 0; k < 8; k++)
            part[k] += v[i + k];
    }
    sum = ((part[0] + part[1]) + (part[2] + part[3])) +
          ((part[4] + part[5]) + (part[6] + part[7]));
    for (; i < n; i++)
        sum += v[i];
    return sum;
}

static double sum_double(const double *v, int64_t n)
{
    double part[8], sum = -0.0;
    int64_t i = 8;

    if (n < 8) {
        for (i = 0; i < n; i++)
            sum += v[i];
        return sum;
    }
    memcpy(part, v, sizeof part);
    for (; i < n - n % 8; i += 8) {
        for (int k = 0; k < 8; k++)
            part[k] += v[i + k];
    }
    sum = ((part[0] + part[1]) + (part[2] + part[3])) +
          ((part[4] + part[5]) + (part[6] + part[7]));
    for (; i < n; i++)
        sum += v[i];
    return sum;
}

/* The sum of 1 <= n <= LEAF values. */
static double leaf_single(const summing *s, const float *v, int64_t n)
{
    const float mean = (float)s->mean;
    float square[LEAF] = {0};

    if (!s->squares)
        return sum_single(v, n);
    for (int64_t i = 0; i < n; i++) {
        const float d = v[i] - mean;
        square[i] = d * d;
    }
    return sum_single(square, n);
}

static double leaf_double(const summing *s, const float *v, int64_t n)
{
    double term[LEAF] = {0};

    for (int64_t i = 0; i < n; i++) {
        const double d = v[i] - s->mean;
        term[i] = s->squares ? d * d : v[i];
    }
    return sum_double(term, n);
}

static double sum_leaf(const summing *s, const float *v, int64_t n)
{
    return s->single ? leaf_single(s, v, n) : leaf_double(s, v, n);
}

static double add(const summing *s, double a, double b)
{
    return s->single ? (double)((float)a + (float)b) : a + b;
}

/* Where numpy divides n > LEAF values. */
static int64_t half_of(int64_t n)
{
    return n / 2 - n / 2 % 8;
}

/* -- One case's samples in order --------------------------------------------------------------
 */

/* The samples of one channel of one case, a few at a time. */
typedef struct stream {
    const volt_stored_values *from;
    volt_mersenne *random; /* NULL: the samples themselves are stored */
    int64_t count;         /* values stored */
    int64_t left;          /* samples not yet in the buffer */
    float *table;          /* the stored values, with `random` */
    uint32_t *hits;        /* times each was drawn */
    int64_t at, have;
    float buffer[CHUNK + LEAF];
} stream;

static float stored_value(const volt_stored_values *k, int64_t i)
{
    return k->code ? (float)(k->base + k->code[i]) : k->value[i];
}

static void refill(stream *s)
{
    const int64_t n = s->left < CHUNK ? s->left : CHUNK;
    uint32_t index[CHUNK];

    memmove(s->buffer, s->buffer + s->at, (size_t)(s->have - s->at) * sizeof *s->buffer);
    s->have -= s->at;
    s->at = 0;
    if (s->random) {
        volt_mersenne_draws(s->random, index, n, (uint32_t)(s->count - 1));
        for (int64_t i = 0; i < n; i++) {
            s->buffer[s->have + i] = s->table[index[i]];
            s->hits[index[i]]++;
        }
    } else {
        for (int64_t i = 0; i < n; i++)
            s->buffer[s->have + i] = stored_value(s->from, s->count - s->left + i);
    }
    s->have += n;
    s->left -= n;
}

/* The next n <= LEAF samples, valid until the next call. */
static const float *next(stream *s, int64_t n)
{
    const float *values;

    if (s->have - s->at < n)
        refill(s);
    values = s->buffer + s->at;
    s->at += n;
    return values;
}

/* -- One case's part of the sums ------------------------------------------------------------
 */

/* Sums of the largest subtrees that lie within one case, in order, and the values of this case
 * in parts that reach into its neighbours. */
typedef struct case_sums {
    double node[MOST_NODES];
    int nodes, taken;
    float head[LEAF], tail[LEAF]; /* of parts begun before this case; begun in it */
} case_sums;

typedef struct walk {
    const summing *how;
    case_sums *out;
    stream *from;
    int64_t begin, end; /* the case's place among all samples */
} walk;

static double sum_node(walk *w, int64_t n)
{
    const int64_t half = half_of(n);
    double first;

    if (n <= LEAF)
        return sum_leaf(w->how, next(w->from, n), n);
    first = sum_node(w, half);
    return add(w->how, first, sum_node(w, n - half));
}

/* What this case has of the n samples from `low` on. */
static void walk_node(walk *w, int64_t low, int64_t n)
{
    const int64_t high = low + n, from = low < w->begin ? w->begin : low,
                  to = high < w->end ? high : w->end;

    if (from >= to)
        return;
    if (to - from == n) {
        w->out->node[w->out->nodes++] = sum_node(w, n);
    } else if (n <= LEAF) {
        memcpy(low < w->begin ? w->out->head : w->out->tail, next(w->from, to - from),
               (size_t)(to - from) * sizeof(float));
    } else {
        walk_node(w, low, half_of(n));
        walk_node(w, low + half_of(n), n - half_of(n));
    }
}

/* -- Both passes ----------------------------------------------------------------------------
 */

/* Sortable as the floats are. */
static uint32_t key_of(float value)
{
    uint32_t bits;

    memcpy(&bits, &value, sizeof bits);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

static float value_of(uint32_t key)
{
    const uint32_t bits = key & 0x80000000u ? key & 0x7fffffffu : ~key;
    float value;

    memcpy(&value, &bits, sizeof value);
    return value;
}

/* What is known of a channel's samples. */
typedef struct channel_samples {
    summing how;
    double mean, sum_of_squares;
    int64_t rank[RANKS];    /* of the sorted draws */
    double fraction[RANKS]; /* percentiles: how far beyond the rank */
    uint32_t upper[RANKS], value[RANKS];
    int64_t below[RANKS];     /* samples with smaller upper halves */
    uint8_t slot_of[HALF];    /* 1 + the row of `counts` of an upper half; 0: none */
    uint64_t (*counts)[HALF]; /* pass one: of upper halves; pass two: RANKS rows of lower */
} channel_samples;

typedef struct describing {
    const volt_intensity_samples *cases;
    int64_t per_case; /* samples */
    int64_t total;
    int64_t *place; /* cases with foreground */
    int64_t places, ranges;
    int channels;
    bool second;
    channel_samples *channel;
    case_sums *sums; /* [place][channel] */
    pthread_mutex_t lock;
} describing;

static void tally(uint32_t (*counts)[HALF], const channel_samples *c, bool second, float value,
                  uint32_t times)
{
    const uint32_t key = key_of(value);

    if (!second)
        counts[0][key >> 16] += times;
    else if (c->slot_of[key >> 16])
        counts[c->slot_of[key >> 16] - 1][key & 65535] += times;
}

static volt_status do_channel(describing *d, uint32_t (*counts)[HALF], int64_t place, int c,
                              stream *s)
{
    const volt_intensity_samples *from = &d->cases[d->place[place]];
    const channel_samples *channel = &d->channel[c];
    walk w = {.how = &channel->how,
              .out = &d->sums[place * d->channels + c],
              .from = s,
              .begin = place * d->per_case,
              .end = (place + 1) * d->per_case};
    volt_status st = VOLT_OK;

    s->from = &from->channel[c];
    s->count = from->count;
    s->left = d->per_case;
    s->at = s->have = 0;
    if (s->random) {
        VOLT_TRY(st, done,
                 volt_alloc(&s->table, (size_t)s->count * sizeof *s->table, "intensities"));
        VOLT_TRY(st, done,
                 volt_alloc_zero(&s->hits, (size_t)s->count, sizeof *s->hits, "intensities"));
        for (int64_t i = 0; i < s->count; i++)
            s->table[i] = stored_value(s->from, i);
    }
    w.out->nodes = w.out->taken = 0;
    walk_node(&w, 0, d->total);
    for (int64_t i = 0; i < s->count; i++)
        tally(counts, channel, d->second, stored_value(s->from, i), s->random ? s->hits[i] : 1);
done:
    volt_free(s->hits);
    volt_free(s->table);
    s->hits = NULL;
    s->table = NULL;
    return st;
}

static void merge(describing *d, uint32_t (*counts)[HALF])
{
    const int rows = d->second ? RANKS : 1;

    pthread_mutex_lock(&d->lock);
    for (int c = 0; c < d->channels; c++) {
        for (int row = 0; row < rows; row++) {
            for (int i = 0; i < HALF; i++)
                d->channel[c].counts[row][i] += counts[c * rows + row][i];
        }
    }
    pthread_mutex_unlock(&d->lock);
}

/* A range of the cases. */
static volt_status do_range(void *context, int64_t index, int threads)
{
    describing *d = context;
    const int64_t first = index * d->places / d->ranges,
                  last = (index + 1) * d->places / d->ranges;
    const int rows = d->second ? RANKS : 1;
    uint32_t(*counts)[HALF] = NULL;
    volt_mersenne random;
    stream *s = NULL;
    volt_status st;

    (void)threads;
    VOLT_TRY(st, done, volt_alloc_zero(&s, 1, sizeof *s, "intensities"));
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&counts, (size_t)(rows * d->channels), sizeof *counts, "a histogram"));
    for (int64_t place = first; place < last; place++) {
        s->random = d->cases[d->place[place]].foreground <= d->per_case ? &random : NULL;
        volt_mersenne_seed(&random, VOLT_SAMPLES_SEED);
        for (int c = 0; c < d->channels; c++)
            VOLT_TRY(st, done, do_channel(d, counts + c * rows, place, c, s));
    }
    merge(d, counts);
done:
    volt_free(counts);
    volt_free(s);
    return st;
}

static volt_status pass(describing *d, bool second, int threads)
{
    volt_tasks tasks = {.run = do_range,
                        .context = d,
                        .count = d->ranges,
                        .threads = threads,
                        .what = "ranges"};
    const int rows = second ? RANKS : 1;
    volt_status st;

    d->second = second;
    for (int c = 0; c < d->channels; c++) {
        channel_samples *channel = &d->channel[c];
        volt_free(channel->counts);
        channel->counts = NULL;
        VOLT_TRY(st, done,
                 volt_alloc_zero(&channel->counts, (size_t)rows, sizeof *channel->counts,
                                 "a histogram"));
    }
    st = volt_tasks_run(&tasks);
done:
    return st;
}

/* The sum of the n samples of channel `c` from `low` on. */
static double combine(describing *d, int c, int64_t low, int64_t n)
{
    const summing *how = &d->channel[c].how;
    const int64_t place = low / d->per_case, half = half_of(n);
    float joined[LEAF] = {0};
    double first;

    if ((low + n - 1) / d->per_case == place) {
        case_sums *sums = &d->sums[place * d->channels + c];
        return sums->node[sums->taken++];
    }
    if (n > LEAF) {
        first = combine(d, c, low, half);
        return add(how, first, combine(d, c, low + half, n - half));
    }
    for (int64_t have = 0; have < n;) {
        const int64_t at = (low + have) / d->per_case, end = (at + 1) * d->per_case - low;
        const case_sums *sums = &d->sums[at * d->channels + c];
        const int64_t to = end < n ? end : n;
        memcpy(joined + have, have ? sums->head : sums->tail,
               (size_t)(to - have) * sizeof *joined);
        have = to;
    }
    return sum_leaf(how, joined, n);
}

/* -- Ranks ----------------------------------------------------------------------------------
 */

/* The ranks whose values are wanted, and the upper halves of those values. */
static void choose_ranks(channel_samples *c, int64_t total)
{
    static const double percent[] = {0.5, 50.0, 99.5};
    int slots = 0;

    c->rank[0] = 0;
    c->rank[RANKS - 1] = total - 1;
    for (int p = 0; p < 3; p++) {
        const double at = (double)(total - 1) * (percent[p] / 100);
        const int64_t rank = (int64_t)floor(at);
        c->rank[1 + 2 * p] = rank;
        c->rank[2 + 2 * p] = rank + 1 < total ? rank + 1 : total - 1;
        c->fraction[1 + 2 * p] = at - (double)rank;
    }
    for (int r = 0; r < RANKS; r++) {
        int64_t below = 0;
        uint32_t upper = 0;
        while (below + (int64_t)c->counts[0][upper] <= c->rank[r])
            below += (int64_t)c->counts[0][upper++];
        c->upper[r] = upper;
        c->below[r] = below;
        if (!c->slot_of[upper])
            c->slot_of[upper] = (uint8_t)++slots;
    }
}

static void find_ranks(channel_samples *c)
{
    for (int r = 0; r < RANKS; r++) {
        const uint64_t *counts = c->counts[c->slot_of[c->upper[r]] - 1];
        int64_t below = c->below[r];
        uint32_t lower = 0;
        while (below + (int64_t)counts[lower] <= c->rank[r])
            below += (int64_t)counts[lower++];
        c->value[r] = c->upper[r] << 16 | lower;
    }
}

/* numpy's linear interpolation between two ranks: their difference in the samples' own type. */
static double percentile(const channel_samples *c, int r)
{
    const float low = value_of(c->value[r]), high = value_of(c->value[r + 1]);
    const double apart = c->how.single ? (double)(high - low) : (double)high - (double)low;
    const double fraction = c->fraction[r];

    return fraction >= 0.5 ? high - apart * (1 - fraction) : low + apart * fraction;
}

static double rounded(const channel_samples *c, double value)
{
    return c->how.single ? (double)(float)value : value;
}

static void describe(volt_foreground_stats *out, channel_samples *c, int64_t total)
{
    const double variance = rounded(c, c->sum_of_squares / (double)total);

    find_ranks(c);
    out->mean = c->mean;
    out->std = c->how.single ? (double)sqrtf((float)variance) : sqrt(variance);
    out->min = value_of(c->value[0]);
    out->percentile_00_5 = percentile(c, 1);
    out->median = percentile(c, 3);
    out->percentile_99_5 = percentile(c, 5);
    out->max = value_of(c->value[RANKS - 1]);
}

/* -- All together ---------------------------------------------------------------------------
 */

static volt_status prepare(describing *d, int64_t count)
{
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&d->place, (size_t)count * sizeof *d->place, "intensities"));
    for (int64_t i = 0; i < count; i++) {
        if (d->cases[i].foreground > 0)
            d->place[d->places++] = i;
    }
    d->total = d->places * d->per_case;
    d->ranges = d->places < RANGES ? d->places : RANGES;
    VOLT_TRY(st, done,
             volt_alloc_zero(&d->sums, (size_t)(d->places * d->channels), sizeof *d->sums,
                             "intensities"));
    VOLT_TRY(
        st, done,
        volt_alloc_zero(&d->channel, (size_t)d->channels, sizeof *d->channel, "intensities"));
    for (int c = 0; c < d->channels; c++)
        d->channel[c].how.single = d->places == count;
done:
    return st;
}

volt_status volt_intensity_stats(volt_foreground_stats *out,
                                 const volt_intensity_samples *cases, int64_t count,
                                 int channels, int64_t per_case, int threads)
{
    describing d = {.cases = cases,
                    .per_case = per_case,
                    .channels = channels,
                    .lock = PTHREAD_MUTEX_INITIALIZER};
    volt_status st;

    VOLT_TRY(st, done, prepare(&d, count));
    VOLT_TRY(st, done, pass(&d, false, threads));
    for (int i = 0; i < channels; i++) {
        channel_samples *c = &d.channel[i];
        c->mean = rounded(c, combine(&d, i, 0, d.total) / (double)d.total);
        c->how.mean = c->mean;
        c->how.squares = true;
        choose_ranks(c, d.total);
    }
    VOLT_TRY(st, done, pass(&d, true, threads));
    for (int i = 0; i < channels; i++) {
        d.channel[i].sum_of_squares = combine(&d, i, 0, d.total);
        describe(&out[i], &d.channel[i], d.total);
    }
done:
    for (int i = 0; d.channel && i < channels; i++)
        volt_free(d.channel[i].counts);
    volt_free(d.channel);
    volt_free(d.sums);
    volt_free(d.place);
    pthread_mutex_destroy(&d.lock);
    return st;
}
