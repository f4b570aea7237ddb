/* golden.h - what nnU-Net left of a training run on the hippocampus: weights in a torch zip,
 * arrays in a numpy zip. Only for files of the shared data, which are known to be sound.
 */
#ifndef VOLT_TESTS_GOLDEN_H
#define VOLT_TESTS_GOLDEN_H
#include "tests/test.h"
#include <inttypes.h>
#include <stdio.h>
#include <zlib.h>
#include "base/file.h"
#include "base/mem.h"
#include "nets3d/graph.h"

#define GOLDEN VOLT_SHARED_DATA "/../peers/golden/hippocampus"

static inline uint64_t little(const unsigned char *at, int bytes)
{
    uint64_t v = 0;

    while (bytes--)
        v = v << 8 | at[bytes];
    return v;
}

/* The member of the zip at `path` whose name ends in `wanted`, inflated; owned. */
static inline unsigned char *zip_member(const char *path, const char *wanted, size_t *bytes)
{
    const size_t length = strlen(wanted);
    const unsigned char *at;
    unsigned char *out = NULL;
    volt_map zip = {0};
    uint64_t entries;

    assert_ok(volt_map_open(&zip, path));
    at = zip.data + zip.bytes - 22;
    while (little(at, 4) != 0x06054b50) /* end of the central directory */
        at--;
    entries = little(at + 10, 2);
    at = zip.data + little(at + 16, 4);
    for (uint64_t i = 0; i < entries && !out; i++) {
        const uint64_t name = little(at + 28, 2), method = little(at + 10, 2);
        if (name >= length && memcmp(at + 46 + name - length, wanted, length) == 0) {
            const unsigned char *local = zip.data + little(at + 42, 4);
            z_stream z = {.avail_in = (uInt)little(at + 20, 4)};

            z.next_in = (unsigned char *)(uintptr_t)(local + 30 + little(local + 26, 2) +
                                                     little(local + 28, 2));
            *bytes = (size_t)little(at + 24, 4);
            assert_ok(volt_alloc(&out, *bytes, "a member"));
            if (method == 0) {
                memcpy(out, z.next_in, *bytes);
            } else {
                assert_int_equal(inflateInit2(&z, -15), Z_OK);
                z.next_out = out;
                z.avail_out = (uInt)*bytes;
                assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
                inflateEnd(&z);
            }
        }
        at += 46 + name + little(at + 30, 2) + little(at + 32, 2);
    }
    volt_map_close(&zip);
    if (!out)
        fail_msg("%s has no member %s", path, wanted);
    return out;
}

/* torch numbers storages as it meets them: encoder, decoder.stages, transpconvs, seg_layers,
 * which is the order of our parameters. */
static inline void golden_weights(float *flat, const volt_graph *g)
{
    for (int i = 0; i < volt_graph_param_count(g); i++) {
        const volt_param *p = volt_graph_param(g, i);
        unsigned char *data;
        char name[32];
        size_t bytes = 0;

        snprintf(name, sizeof name, "/data/%d", i);
        data = zip_member(GOLDEN "/model/fold_0/checkpoint_final.pth", name, &bytes);
        if (bytes != (size_t)p->count * sizeof(float))
            fail_msg("%s: %zu bytes for %" PRId64 " weights", p->name, bytes, p->count);
        memcpy(flat + p->offset, data, bytes);
        volt_free(data);
    }
}

#endif
