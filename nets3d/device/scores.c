#include "nets3d/device/scores.h"

static bool takes(const volt_device *dev, const volt_decode_options *options)
{
    (void)dev;
    (void)options;
    return true;
}

static volt_status open_sums(const volt_device *dev, volt_stitch *out, int64_t channels,
                             const int64_t shape[3], int64_t room, bool half)
{
    (void)dev;
    return volt_stitch_open(out, channels, shape, room, half);
}

static void close_sums(const volt_device *dev, volt_stitch *s)
{
    (void)dev;
    volt_stitch_close(s);
}

static volt_status expect(const volt_device *dev, volt_stitch *s, volt_box box,
                          const float *weight, volt_stream *stream)
{
    (void)stream;
    (void)dev;
    volt_stitch_expect(s, box, weight);
    return VOLT_OK;
}

static volt_status add(const volt_device *dev, volt_stitch *s, const volt_stitch_tile *tile,
                       int threads, volt_stream *stream)
{
    (void)stream;
    (void)dev;
    volt_stitch_add(s, tile, threads);
    return VOLT_OK;
}

static volt_status finish(const volt_device *dev, volt_stitch *s, int64_t to, int threads,
                          bool *finite, volt_stream *stream)
{
    (void)stream;
    (void)dev;
    *finite = volt_stitch_finish(s, to, threads);
    return VOLT_OK;
}

static volt_status drop(const volt_device *dev, volt_stitch *s, int64_t keep, int threads,
                        volt_stream *stream)
{
    (void)stream;
    (void)dev;
    volt_stitch_drop(s, keep, threads);
    return VOLT_OK;
}

static volt_status decode(const volt_device *dev, const volt_decode_call *call,
                          volt_stream *stream)
{
    (void)stream;
    (void)dev;
    return call->masks
               ? volt_decode_masks(call->decoder, call->out, call->at, call->part, call->logits)
               : volt_decode_labels(call->decoder, call->out, call->at, call->part,
                                    call->logits);
}

const volt_scores_table volt_host_scores = {.takes = takes,
                                            .open = open_sums,
                                            .close = close_sums,
                                            .expect = expect,
                                            .add = add,
                                            .finish = finish,
                                            .drop = drop,
                                            .decode = decode};
