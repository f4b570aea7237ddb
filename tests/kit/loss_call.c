#include "tests/kit/loss_call.h"

#include "base/core/alloc.h"
#include "tests/kit/test.h"

#define GUARD 64

/* Memory that starts as NaN, with guards on both sides. */
static void *guarded(size_t bytes)
{
    unsigned char *p;

    assert_ok(volt_alloc(&p, bytes + 2 * GUARD, "a loss"));
    memset(p, 0xFF, bytes + 2 * GUARD);
    return p + GUARD;
}

static void free_guarded(void *data, size_t bytes)
{
    unsigned char *p = (unsigned char *)data - GUARD;

    for (size_t i = 0; i < GUARD; i++)
        assert_true(p[i] == 0xFF && p[GUARD + bytes + i] == 0xFF);
    volt_free(p);
}

void loss_call_sums(const volt_device *dev, volt_loss_call *call)
{
    const size_t scratch = dev->loss_scratch(dev, call);

    call->sums = guarded((size_t)volt_loss_sums_count(call) * sizeof(double));
    call->result = guarded(volt_loss_block_bytes(call->c));
    call->scratch = guarded(scratch);
    assert_ok(dev->loss_sums(dev, call, NULL));
    free_guarded(call->scratch, scratch);
}

volt_loss_block *loss_call_gradient(const volt_device *dev, volt_loss_call *call)
{
    const size_t scratch = dev->loss_scratch(dev, call);
    volt_loss_block *out;

    call->scratch = guarded(scratch);
    assert_ok(dev->loss_gradient(dev, call, NULL));
    free_guarded(call->scratch, scratch);
    free_guarded(call->sums, (size_t)volt_loss_sums_count(call) * sizeof(double));
    assert_ok(volt_alloc(&out, volt_loss_block_bytes(call->c), "a loss"));
    memcpy(out, call->result, volt_loss_block_bytes(call->c));
    free_guarded(call->result, volt_loss_block_bytes(call->c));
    call->sums = NULL;
    call->result = NULL;
    call->scratch = NULL;
    return out;
}

volt_loss_block *loss_call_run(const volt_device *dev, volt_loss_call *call)
{
    loss_call_sums(dev, call);
    return loss_call_gradient(dev, call);
}

volt_status program_loss(volt_program *p, const volt_loss_options *options,
                         const int16_t *labels, bool gradient, volt_loss_result *result)
{
    const volt_status st = volt_program_loss(p, options, labels, gradient);

    return st == VOLT_OK ? volt_program_loss_result(p, result) : st;
}

float *program_output(volt_program *p, int i, int64_t shape[5])
{
    int64_t extent[5];
    float *out;

    assert_ok(volt_program_output_shape(p, i, extent));
    assert_ok(volt_alloc(
        &out, (size_t)(extent[0] * extent[1] * extent[2] * extent[3] * extent[4]) * sizeof *out,
        "an output"));
    assert_ok(volt_program_download(p, i, out));
    if (shape)
        memcpy(shape, extent, sizeof extent);
    return out;
}
