/* deflate_join.c - lets another deflate stream follow one that libdeflate made.
 *
 * Why this exists: a gzip file written by several threads should still be one member, because
 * some readers stop after the first. Joining chunks takes streams that end on a byte boundary
 * without the final flag. zlib makes them with Z_SYNC_FLUSH (as pigz does), but libdeflate,
 * which is much faster at the same size, has no flush: its streams are complete, and
 * the final block starts at a bit position that only its codes tell. So the codes are walked.
 * Nothing is output, which costs about a tenth of compressing, and memory is two tables.
 *
 * The input is our own compressor's output, but it is checked like any stream: a code outside
 * the tables or an end beyond the data is VOLT_EINTERNAL, never a wrong file. The fuzz target
 * for gzip compares joined streams with zlib's decompression.
 */
#include "io/archive/deflate_join.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/core/plural.h"

#define MAX_CODE_BITS  15
#define LITERAL_CODES  288
#define DISTANCE_CODES 32

/* A table entry: bits to skip (the code and its extra bits) and the kind of symbol. */
enum { SKIP_MASK = 63, KIND_LITERAL = 0, KIND_LENGTH = 64, KIND_END = 128, KIND_BAD = 192 };

typedef struct code_table {
    unsigned mask; /* table size - 1 */
    uint8_t entry[1 << MAX_CODE_BITS];
} code_table;

typedef struct walker {
    const unsigned char *data;
    size_t at, end; /* bits */
    code_table literals, distances;
} walker;

/* At least 57 bits from bit `at` on. Reads up to 8 bytes past the stream. */
static inline uint64_t peek(const walker *w)
{
    const unsigned char *p = w->data + (w->at >> 3);
    uint64_t value = 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    memcpy(&value, p, sizeof value);
#else
    for (int i = 0; i < 8; i++)
        value |= (uint64_t)p[i] << (8 * i);
#endif
    return value >> (w->at & 7);
}

static unsigned take(walker *w, int count)
{
    const unsigned value = (unsigned)(peek(w) & ((1u << count) - 1));

    w->at += (size_t)count;
    return value;
}

static unsigned reversed(unsigned code, int bits)
{
    unsigned out = 0;

    for (int i = 0; i < bits; i++)
        out |= ((code >> i) & 1) << (bits - 1 - i);
    return out;
}

/* The entry of symbol `s` of the literal/length alphabet, without its code's length. */
static uint8_t literal_entry(int s)
{
    if (s < 256)
        return KIND_LITERAL;
    if (s == 256)
        return KIND_END;
    if (s > 285)
        return KIND_BAD;
    return (uint8_t)(KIND_LENGTH + (s < 265 || s == 285 ? 0 : (s - 261) / 4));
}

static uint8_t distance_entry(int s)
{
    return s > 29 ? KIND_BAD : (uint8_t)(s < 4 ? 0 : s / 2 - 1);
}

static uint8_t plain_entry(int s) /* code lengths of code lengths: the symbol itself */
{
    return (uint8_t)s;
}

/* Fills the table for the canonical codes of these lengths. False: more codes than fit. */
static bool build(code_table *table, const uint8_t *lengths, int count, uint8_t (*entry)(int),
                  bool add_length)
{
    unsigned used[MAX_CODE_BITS + 1] = {0}, next[MAX_CODE_BITS + 2] = {0};
    int longest = 1;

    for (int s = 0; s < count; s++) {
        used[lengths[s]]++;
        longest = lengths[s] > longest ? lengths[s] : longest;
    }
    used[0] = 0;
    for (int bits = 1; bits <= MAX_CODE_BITS; bits++) {
        next[bits + 1] = (next[bits] + used[bits]) << 1;
        if (next[bits] + used[bits] > 1u << bits)
            return false;
    }
    table->mask = (1u << longest) - 1;
    memset(table->entry, KIND_BAD, table->mask + 1);
    for (int s = 0; s < count; s++) {
        const int bits = lengths[s];
        const uint8_t value = (uint8_t)(entry(s) + (add_length ? bits : 0));
        if (bits == 0)
            continue;
        for (unsigned at = reversed(next[bits]++, bits); at <= table->mask; at += 1u << bits)
            table->entry[at] = value;
    }
    return true;
}

static bool fixed_codes(walker *w)
{
    uint8_t lengths[LITERAL_CODES];

    memset(lengths, 8, 144);
    memset(lengths + 144, 9, 112);
    memset(lengths + 256, 7, 24);
    memset(lengths + 280, 8, 8);
    if (!build(&w->literals, lengths, LITERAL_CODES, literal_entry, true))
        return false;
    memset(lengths, 5, DISTANCE_CODES);
    return build(&w->distances, lengths, DISTANCE_CODES, distance_entry, true);
}

/* Code lengths, run-length coded by a third code, which borrows the distance table. */
static bool read_lengths(walker *w, uint8_t *lengths, int count, const uint8_t *coder_lengths)
{
    const code_table *coder = &w->distances;
    int done = 0;

    if (!build(&w->distances, coder_lengths, 19, plain_entry, false))
        return false;
    while (done < count && w->at < w->end) {
        const unsigned symbol = coder->entry[peek(w) & coder->mask];
        unsigned run = 1, value = symbol;
        if (symbol > 18)
            return false;
        w->at += coder_lengths[symbol];
        if (symbol == 16 && done == 0)
            return false;
        if (symbol == 16) {
            value = lengths[done - 1];
            run = 3 + take(w, 2);
        } else if (symbol >= 17) {
            value = 0;
            run = symbol == 17 ? 3 + take(w, 3) : 11 + take(w, 7);
        }
        if (run > (unsigned)(count - done))
            return false;
        memset(lengths + done, (int)value, run);
        done += (int)run;
    }
    return done == count;
}

static bool dynamic_codes(walker *w)
{
    static const uint8_t order[19] = {16, 17, 18, 0, 8,  7, 9,  6, 10, 5,
                                      11, 4,  12, 3, 13, 2, 14, 1, 15};
    uint8_t coder[19] = {0}, lengths[LITERAL_CODES + DISTANCE_CODES];
    const int literals = 257 + (int)take(w, 5);
    const int distances = 1 + (int)take(w, 5);
    const int coders = 4 + (int)take(w, 4);

    if (literals > LITERAL_CODES)
        return false;
    for (int i = 0; i < coders; i++)
        coder[order[i]] = (uint8_t)take(w, 3);
    return read_lengths(w, lengths, literals + distances, coder) &&
           build(&w->literals, lengths, literals, literal_entry, true) &&
           build(&w->distances, lengths + literals, distances, distance_entry, true);
}

/* From the end of the block's header to the end of its last code. */
static bool walk_codes(walker *w)
{
    const code_table *literals = &w->literals, *distances = &w->distances;

    while (w->at < w->end) {
        uint64_t bits = peek(w);
        unsigned e = literals->entry[bits & literals->mask];

        /* Three literals fit in what peek() gives. */
        for (int i = 0; i < 2 && e <= SKIP_MASK; i++) {
            bits >>= e;
            w->at += e;
            e = literals->entry[bits & literals->mask];
        }
        if (e <= SKIP_MASK) {
            w->at += e;
            continue;
        }
        w->at += e & SKIP_MASK;
        if (e >= KIND_END)
            return e < KIND_BAD && w->at <= w->end;
        e = distances->entry[peek(w) & distances->mask];
        if (e > SKIP_MASK)
            return false;
        w->at += e;
    }
    return false;
}

static bool walk_stored(walker *w)
{
    unsigned length;

    w->at = (w->at + 7) & ~(size_t)7;
    length = take(w, 16);
    if (take(w, 16) != (length ^ 0xffff))
        return false;
    w->at += 8 * (size_t)length;
    return w->at <= w->end;
}

static bool walk_block(walker *w, bool *final)
{
    *final = take(w, 1);
    switch (take(w, 2)) {
    case 0:
        return walk_stored(w);
    case 1:
        return fixed_codes(w) && walk_codes(w);
    case 2:
        return dynamic_codes(w) && walk_codes(w);
    default:
        return false;
    }
}

volt_status volt_deflate_reopen(unsigned char *stream, size_t *bytes)
{
    walker w = {.data = stream, .end = 8 * *bytes};
    size_t block = 0;
    bool final = false;

    memset(stream + *bytes, 0, VOLT_DEFLATE_JOIN_ROOM);
    while (!final) {
        block = w.at;
        if (w.at >= w.end || !walk_block(&w, &final))
            return volt_fail(VOLT_EINTERNAL, "a compressed block of %zu byte%s is not valid",
                             *bytes, volt_s((int64_t)*bytes));
    }
    stream[block >> 3] &= (unsigned char)~(1u << (block & 7));
    /* The three header bits of a stored block are 0, as is the padding of the last byte. */
    w.at = (w.at + 3 + 7) & ~(size_t)7;
    memcpy(stream + (w.at >> 3), "\0\0\xff\xff", 4);
    *bytes = (w.at >> 3) + 4;
    return VOLT_OK;
}
