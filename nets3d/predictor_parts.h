/* predictor_parts.h - what predictor.c (one scan) and predict.c (many, from files) share. */
#ifndef VOLT_NETS3D_PREDICTOR_PARTS_H
#define VOLT_NETS3D_PREDICTOR_PARTS_H
#include "nets3d/plan.h"
#include "nets3d/predictor.h"
#include "nets3d/preprocess.h"
#include "nets3d/program.h"
#include "nets3d/train_state.h"
VOLT_BEGIN_DECLS

struct volt_predictor {
    volt_dataset_info info;
    volt_plan *plan;
    const volt_plan_config *config; /* of `plan` */
    volt_train_recipe recipe;
    volt_precision precision;
    int threads;
    double step;
    int flips;        /* 1, 2, 4 or 8 */
    bool flip[8][3];  /* along d, h, w */
    volt_dtype dtype; /* of masks: VOLT_U8 or VOLT_U16 */

    volt_device *device;
    volt_graph *graph;
    volt_program *program;
    float *weight;   /* (d, h, w) of the patch */
    float *input;    /* (channels, d, h, w): a tile as it lies in the scan */
    float *flipped;  /* the same, mirrored */
    float *tile_sum; /* (classes, d, h, w): logits of all mirrorings */
    double network_s;
    size_t held_bytes; /* by this predictor, through mem.h */
};

/* Bytes of one scan's stages; see predictor_memory.c for what each holds. */
typedef struct volt_predict_memory {
    size_t network; /* program and tile buffers; held by the open predictor */
    size_t prepare; /* reading and preparing, the prepared image included */
    size_t image;   /* the prepared image */
    size_t compute; /* image and sums of logits and weights, or what export needs */
    size_t mask;    /* the finished mask */
    size_t write;   /* writing it, besides the mask */
} volt_predict_memory;

/* For a scan of `grid`, nothing cropped. VOLT_EINVAL. */
VOLT_MUST_USE volt_status volt_predict_memory_of(volt_predict_memory *out,
                                                 const volt_predictor *p, const volt_grid *grid,
                                                 const char *what);

/* From a prepared scan (cleared here, also on failure) to labels on its own grid. `what` starts
 * messages. */
VOLT_MUST_USE volt_status volt_predictor_segment(volt_predictor *p, volt_volume **labels,
                                                 volt_prepared *scan, const char *what,
                                                 const volt_callbacks *cb);

VOLT_END_DECLS
#endif
