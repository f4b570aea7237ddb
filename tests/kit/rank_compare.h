/* rank_compare.h - a short training on a mesh of ranks, threads of the test, against the same
 * on one rank.
 */
#ifndef VOLT_TESTS_RANK_COMPARE_H
#define VOLT_TESTS_RANK_COMPARE_H
#include "tests/kit/test.h"
#include "nets3d/device.h"
#include "nets3d/graph.h"
#include "nets3d/program.h"

#define RANK_MOST_STEPS 20

/* A list of meshes. */
#define RANK_MESHES(...)                                                                       \
    (const char *const[])                                                                      \
    {                                                                                          \
        __VA_ARGS__, NULL                                                                      \
    }

typedef struct rank_case {
    const char *name;
    volt_graph *(*build)(void);
    int64_t n, extent[3];   /* of the whole batch and volume */
    int values;             /* labels are 0..values-1 */
    const uint8_t *regions; /* as in volt_loss_options, with a sigmoid; NULL = a softmax */
    bool ignore;            /* one label more is to be ignored */
    bool batch_dice;
    int64_t gather[3]; /* of the program's options */
    int parts;         /* batches of n that make up an update; 0 = 1 */
    bool frozen;       /* every third parameter */
    bool together;     /* all parts forward, then all their losses, then all backward */
    bool keep_forms;   /* of the program's options */
    int threads;       /* of each rank; 0 = 1 */
    int steps;         /* updates; 0 = 5, at most RANK_MOST_STEPS */
    double clip;       /* norm that gradients are clipped at, and reach; 0 = nnU-Net's */
} rank_case;

typedef struct rank_tolerance {
    double logits, loss, gradient; /* gradient: of a parameter's, by norm, */
    double floor;                  /* which counts as so much of the norm of all at least */
    double weights;                /* after the optimizer's steps, by norm of all */
    double late;                   /* losses behind the fifth step */
    double counts;                 /* voxels of another class, as a fraction */
} rank_tolerance;

extern const rank_tolerance rank_fp32, rank_bf16;

/* What a training of some steps leaves. */
typedef struct rank_result {
    float *logits, *gradients;        /* of the first step, of output 0 and of all parameters */
    float *weights;                   /* after the last */
    double norm[RANK_MOST_STEPS];     /* of the gradients, before each update */
    double loss[RANK_MOST_STEPS + 1]; /* of each step, of its last part; then an evaluation's */
    int steps;
    int gathers;                    /* exchanges for whole values, */
    int exchanges;                  /* and all, */
    int overlaps;                   /* and steps that run while messages of values travel */
    size_t memory;                  /* that the program announces */
    int kinds[4];                   /* steps that send and receive values, then gradients */
    int64_t counts[3 * 16], voxels; /* tp, fp, fn of the evaluation */
    int64_t parameters, logit_count;
} rank_result;

/* Trains on a mesh (text; "" = one rank without a mesh); checks that all ranks have the same
 * losses, gradients and weights. `dev` NULL: each rank has a device of its own whose memory the
 * host cannot reach. */
void rank_train(rank_result *out, const rank_case *c, const volt_device *dev,
                volt_precision precision, const char *mesh);
void rank_result_free(rank_result *r);
void assert_ranks_near(const char *what, const rank_case *c, const rank_result *a,
                       const rank_result *b, const rank_tolerance *t);
void assert_ranks_equal(const char *what, const rank_result *a, const rank_result *b);
/* All three for a list of meshes, the last one twice; NULL ends it. What one rank does is
 * remembered for the next call, whose case may differ in `gather`, `together`, `keep_forms`. */
void check_meshes(const rank_case *c, const volt_device *dev, volt_precision precision,
                  const char *const *meshes);
/* For the end of a group of tests. */
void forget_one_rank(void);

#endif
