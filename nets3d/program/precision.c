#include "nets3d/program/precision.h"

#include <pthread.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/core/report.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/threads.h"
#include "io/json/json.h"
#include "nets3d/device/device_internal.h"

#define CACHE_FILE      "precision.json"
#define CACHE_MAX_BYTES ((size_t)1 << 20)
#define GAIN            1.05           /* bf16 must be this much faster to be chosen */
#define MOST_VOXELS     (64 * 64 * 64) /* measured on no more: speed is the same */
#define REPEATS         3

static const char *const names[] = {[VOLT_PRECISION_AUTO] = "auto",
                                    [VOLT_FP32] = "fp32",
                                    [VOLT_BF16_MIXED] = "bf16",
                                    [VOLT_FP16_MIXED] = "fp16",
                                    [VOLT_TF32] = "tf32"};
#define NAMES (int)(sizeof names / sizeof *names)

volt_status volt_precision_parse(volt_precision *out, const char *name)
{
    for (int i = 0; i < NAMES; i++) {
        if (strcmp(name, names[i]) == 0) {
            *out = (volt_precision)i;
            return VOLT_OK;
        }
    }
    return volt_fail(VOLT_EINVAL, "precision '%.40s' is none of auto, fp32, bf16, fp16, tf32",
                     name);
}

const char *volt_precision_name(volt_precision precision)
{
    return (int)precision >= 0 && (int)precision < NAMES ? names[precision] : "unknown";
}

volt_status volt_precision_check(const volt_device *device, volt_precision precision)
{
    char others[64] = "";

    if (device->supports(device, precision))
        return VOLT_OK;
    for (int i = VOLT_FP32; i < NAMES; i++) {
        const size_t used = strlen(others);

        if (device->supports(device, (volt_precision)i))
            snprintf(others + used, sizeof others - used, "%s%s", used ? ", " : "", names[i]);
    }
    return volt_fail(VOLT_ENOTSUP,
                     "the %s device does not compute in %s; on this machine it has %s",
                     device->name, volt_precision_name(precision), others);
}

/* ---- the costliest convolution ---- */

/* What is measured: one convolution at stride 1. */
typedef struct sample_conv {
    int64_t in, out, kernel[3], extent[3];
} sample_conv;

/* Stage by stage, the decoder's first convolution (twice the features in) is the widest. */
static sample_conv costliest(const volt_precision_query *q)
{
    int64_t extent[3] = {q->patch[0], q->patch[1], q->patch[2]};
    sample_conv best = {0};
    double most = -1;

    for (int s = 0; s < volt_network_stage_count(q->net); s++) {
        const volt_network_stage stage = volt_network_stage_at(q->net, s);
        double cost = 2.0 * (double)stage.features * (double)stage.features;
        for (int a = 0; a < 3; a++) {
            const int64_t stride = stage.stride[a] > 0 ? stage.stride[a] : 1;
            extent[a] = (extent[a] + stride - 1) / stride;
            cost *= (double)extent[a] * (double)stage.kernel[a];
        }
        if (cost > most) {
            most = cost;
            best.in = 2 * stage.features;
            best.out = stage.features;
            memcpy(best.kernel, stage.kernel, sizeof best.kernel);
            memcpy(best.extent, extent, sizeof best.extent);
        }
    }
    while (best.extent[0] * best.extent[1] * best.extent[2] > MOST_VOXELS) {
        int widest = 0;
        for (int a = 1; a < 3; a++) {
            if (best.extent[a] > best.extent[widest])
                widest = a;
        }
        best.extent[widest] = (best.extent[widest] + 1) / 2;
    }
    return best;
}

static volt_op_spec spec_of(const sample_conv *c, volt_op_kind kind, volt_dtype dtype,
                            int threads)
{
    const int64_t src[5] = {1, c->in, c->extent[0], c->extent[1], c->extent[2]};
    const int64_t dst[5] = {1, c->out, c->extent[0], c->extent[1], c->extent[2]};
    const int64_t weights[5] = {c->out, c->in, c->kernel[0], c->kernel[1], c->kernel[2]};
    volt_op_spec spec = {.kind = kind, .threads = threads};

    spec.tensor[0] = volt_tensor_make(src, dtype, VOLT_NATIVE);
    spec.tensor[1] = volt_tensor_make(weights, VOLT_F32, VOLT_PLAIN);
    spec.tensor[kind == VOLT_OP_CONV_BWD_DATA ? 2 : 3] =
        volt_tensor_make(dst, dtype, VOLT_NATIVE);
    for (int a = 0; a < 3; a++) {
        spec.conv.kernel[a] = c->kernel[a];
        spec.conv.stride[a] = 1;
        spec.conv.pad_low[a] = spec.conv.pad_high[a] = (c->kernel[a] - 1) / 2;
    }
    return spec;
}

/* ---- measuring ---- */

static volt_status zeros_on(const volt_device *dev, void **out, size_t bytes)
{
    void *zeros = NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc_zero(&zeros, bytes ? bytes : 1, 1, "a measurement"));
    VOLT_TRY(st, done, dev->alloc(dev, out, bytes ? bytes : 1, "a measurement"));
    st = dev->upload(dev, *out, zeros, bytes, NULL);
done:
    volt_free(zeros);
    return st;
}

/* Least seconds of one run of the operator, on zeros. */
static volt_status time_op(double *out, const volt_device *dev, const volt_op_spec *spec)
{
    void *operand[VOLT_OP_MAX_TENSORS] = {NULL}, *scratch = NULL;
    void *weights = NULL;
    volt_op *op = NULL;
    volt_op_info info;
    volt_status st;

    VOLT_TRY(st, done, dev->op_create(dev, &op, spec));
    dev->op_info(op, &info);
    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++) {
        const volt_tensor *t = &spec->tensor[i];
        const bool packed =
            i == 1 && spec->kind != VOLT_OP_CONV_BWD_WEIGHTS && info.packed_bytes > 0;
        if (t->n > 0)
            VOLT_TRY(st, done,
                     zeros_on(dev, &operand[i],
                              packed ? info.packed_bytes : dev->buffer_bytes(dev, t)));
        if (packed) {
            VOLT_TRY(st, done,
                     zeros_on(dev, &weights, (size_t)volt_tensor_elements(t) * sizeof(float)));
            VOLT_TRY(st, done, dev->op_pack(op, operand[i], weights, NULL));
        }
    }
    VOLT_TRY(st, done, zeros_on(dev, &scratch, info.scratch_bytes));
    *out = INFINITY;
    for (int i = 0; i <= REPEATS; i++) { /* the first warms up */
        const double start = volt_seconds();
        VOLT_TRY(st, done, dev->op_run(op, operand, scratch, NULL));
        if (i > 0)
            *out = fmin(*out, volt_seconds() - start);
    }
done:
    dev->release(dev, scratch);
    dev->release(dev, weights);
    for (int i = 0; i < VOLT_OP_MAX_TENSORS; i++)
        dev->release(dev, operand[i]);
    dev->op_free(op);
    return st;
}

/* Seconds of the convolution's forward pass and, for training, both backward ones. */
static volt_status measure(double *out, const volt_precision_query *q, const sample_conv *c,
                           volt_precision precision)
{
    static const volt_op_kind kinds[3] = {VOLT_OP_CONV_FWD, VOLT_OP_CONV_BWD_DATA,
                                          VOLT_OP_CONV_BWD_WEIGHTS};
    const volt_dtype dtype = precision == VOLT_BF16_MIXED ? VOLT_BF16 : VOLT_F32;
    double sum = 0;
    volt_status st = VOLT_OK;

    for (int i = 0; i < (q->mode == VOLT_TRAIN ? 3 : 1) && st == VOLT_OK; i++) {
        const volt_op_spec spec =
            spec_of(c, kinds[i], dtype, volt_threads_or_default(q->threads));
        double seconds = 0;
        st = time_op(&seconds, q->device, &spec);
        sum += seconds;
    }
    if (st == VOLT_OK)
        *out = sum;
    return st;
}

/* ---- the cache ---- */

static volt_status cache_key(char **out, const volt_precision_query *q, const sample_conv *c)
{
    char device[64];

    volt_device_words(device, sizeof device, q->device);
    return volt_format(
        out, "%s | %s | %s | %d threads | %s | %lldx%lldx%lldx%lldx%lld k%lld%lld%lld",
        volt_cpu_name(), device, q->device->library, volt_threads_or_default(q->threads),
        q->mode == VOLT_TRAIN ? "train" : "infer", (long long)c->in, (long long)c->out,
        (long long)c->extent[0], (long long)c->extent[1], (long long)c->extent[2],
        (long long)c->kernel[0], (long long)c->kernel[1], (long long)c->kernel[2]);
}

/* What is stored, or an empty object: whatever is wrong with the file, measuring again mends
 * it. */
static json_t *cache_load(const char *path)
{
    char *text = NULL;
    size_t bytes = 0;
    json_t *root = NULL;

    if (volt_read_file(&text, &bytes, path, CACHE_MAX_BYTES) == VOLT_OK)
        root = json_loadb(text, bytes, 0, NULL);
    volt_free(text);
    if (!json_is_object(root)) {
        json_decref(root);
        root = json_object();
    }
    return root;
}

static bool cache_find(double seconds[2], const json_t *root, const char *key)
{
    const json_t *entry = json_object_get(root, key);

    seconds[0] = json_number_value(json_object_get(entry, "fp32_seconds"));
    seconds[1] = json_number_value(json_object_get(entry, "bf16_seconds"));
    return seconds[0] > 0 && seconds[1] > 0;
}

static void cache_store(const char *folder, const char *path, json_t *root, const char *key,
                        const double seconds[2], const volt_callbacks *cb)
{
    volt_status st = volt_make_dirs(folder);

    json_object_set_new(
        root, key,
        json_pack("{s:f, s:f}", "fp32_seconds", seconds[0], "bf16_seconds", seconds[1]));
    if (st == VOLT_OK)
        st = volt_json_save(path, root);
    if (st != VOLT_OK)
        volt_report(cb, VOLT_LOG_DETAIL, "the measured speeds could not be stored: %s",
                    volt_last_error());
}

/* Seconds in fp32 and bf16, stored or measured. */
static volt_status speeds(double seconds[2], const volt_precision_query *q,
                          const volt_callbacks *cb)
{
    const sample_conv c = costliest(q);
    char *folder = NULL, *path = NULL, *key = NULL;
    json_t *root = NULL;
    volt_status st;

    VOLT_TRY(st, done, cache_key(&key, q, &c));
    if ((q->cache ? volt_strdup(&folder, q->cache) : volt_cache_folder(&folder)) == VOLT_OK) {
        VOLT_TRY(st, done, volt_path_join(&path, folder, CACHE_FILE));
        root = cache_load(path);
        if (cache_find(seconds, root, key))
            goto done;
    }
    VOLT_TRY(st, done, measure(&seconds[0], q, &c, VOLT_FP32));
    VOLT_TRY(st, done, measure(&seconds[1], q, &c, VOLT_BF16_MIXED));
    if (path)
        cache_store(folder, path, root, key, seconds, cb);
done:
    json_decref(root);
    volt_free(path);
    volt_free(folder);
    volt_free(key);
    return st;
}

volt_status volt_precision_choose(volt_precision *out, volt_precision asked,
                                  const volt_precision_query *q, const volt_callbacks *cb)
{
    /* One measurement at a time: two would disturb each other and could disagree. */
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    double seconds[2];
    volt_status st;

    if ((int)asked < VOLT_PRECISION_AUTO || asked > VOLT_TF32)
        return volt_fail(VOLT_EINVAL, "precision %d is unknown", (int)asked);
    if (asked != VOLT_PRECISION_AUTO) {
        st = volt_precision_check(q->device, asked);
        if (st == VOLT_OK)
            *out = asked;
        return st;
    }
    if (!q->device->supports(q->device, VOLT_BF16_MIXED)) {
        *out = VOLT_FP32;
        return VOLT_OK;
    }
    pthread_mutex_lock(&one_at_a_time);
    st = speeds(seconds, q, cb);
    pthread_mutex_unlock(&one_at_a_time);
    if (st != VOLT_OK)
        return st;
    *out = seconds[0] > GAIN * seconds[1] ? VOLT_BF16_MIXED : VOLT_FP32;
    volt_report(cb, VOLT_LOG_INFO,
                "precision: %s (the widest convolution takes %.1f ms in fp32, %.1f ms in bf16)",
                volt_precision_name(*out), 1e3 * seconds[0], 1e3 * seconds[1]);
    return VOLT_OK;
}
