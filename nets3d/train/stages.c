#include "nets3d/train/stages.h"

#include <math.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "base/core/report.h"

static bool is_first(const volt_session *s)
{
    return s->ranks.mesh && volt_session_stage_count(s) > 1 &&
           s->ranks.mesh->at[VOLT_MESH_STAGE] == 0;
}

static bool is_last(const volt_session *s)
{
    const int stages = volt_session_stage_count(s);

    return s->ranks.mesh && stages > 1 && s->ranks.mesh->at[VOLT_MESH_STAGE] == stages - 1;
}

static size_t voxels_of(const volt_session *s)
{
    return (size_t)(s->ranks.count * volt_box_voxels(s->box));
}

/* Of one part; only the first stage reads images, only the last labels. */
static size_t image_count(const volt_session *s)
{
    return is_first(s) ? voxels_of(s) * (size_t)volt_network_in_channels(&s->data->config->net)
                       : 0;
}

static size_t label_count(const volt_session *s)
{
    return is_last(s) ? voxels_of(s) : 0;
}

size_t volt_stages_bytes(const volt_session *s)
{
    return (size_t)s->recipe.recipe.accumulate *
           (image_count(s) * sizeof(float) + label_count(s) * sizeof(int16_t));
}

void volt_stages_close(volt_session *s)
{
    volt_free(s->part_images);
    volt_free(s->part_labels);
    s->part_images = NULL;
    s->part_labels = NULL;
}

/* Copies of all parts: the feed's memory is that of the last. */
static volt_status take_parts(volt_session *s, volt_stages_seen *seen, void *context)
{
    const size_t parts = (size_t)s->recipe.recipe.accumulate;
    const size_t images = image_count(s), labels = label_count(s);
    volt_batch batch;
    volt_status st = VOLT_OK;

    if (images && !s->part_images)
        VOLT_TRY(st, done,
                 volt_alloc(&s->part_images, parts * images * sizeof(float), "a batch"));
    if (labels && !s->part_labels)
        VOLT_TRY(st, done,
                 volt_alloc(&s->part_labels, parts * labels * sizeof(int16_t), "a batch"));
    for (size_t i = 0; i < parts; i++) {
        VOLT_TRY(st, done, volt_feed_next(s->train, &batch));
        if (seen)
            seen(context, s, &batch);
        if (images)
            memcpy(s->part_images + i * images, batch.image, images * sizeof(float));
        if (labels)
            memcpy(s->part_labels + i * labels, batch.labels, labels * sizeof(int16_t));
    }
done:
    return st;
}

static volt_status forward(volt_session *s, int part, uint32_t run)
{
    const float *image = s->part_images ? s->part_images + (size_t)part * image_count(s) : NULL;
    volt_status st;

    VOLT_TRY(st, done, volt_program_use(s->program, part));
    volt_program_set_first_sample(s->program, part * s->recipe.recipe.batch + s->ranks.first);
    st = volt_program_forward(s->program, image, run);
done:
    return st;
}

static volt_status loss_of(volt_session *s, int part, double *loss)
{
    const int16_t *labels =
        s->part_labels ? s->part_labels + (size_t)part * label_count(s) : NULL;
    volt_loss_result result = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_program_use(s->program, part));
    VOLT_TRY(st, done, volt_program_loss(s->program, &s->loss, labels, true));
    VOLT_TRY(st, done, volt_program_loss_result(s->program, &result));
    *loss = result.total;
done:
    return st;
}

static volt_status backward(volt_session *s, int part, int parts)
{
    volt_status st;

    VOLT_TRY(st, done, volt_program_use(s->program, part));
    VOLT_TRY(st, done, volt_program_backward(s->program));
    if (parts > 1)
        st = volt_program_accumulate(s->program, part, parts);
done:
    return st;
}

volt_status volt_stages_learn(volt_session *s, uint32_t run, double *loss,
                              volt_stages_seen *seen, void *context)
{
    const int parts = (int)s->recipe.recipe.accumulate;
    double sum = 0, own = 0;
    volt_status st;

    VOLT_TRY(st, done, take_parts(s, seen, context));
    for (int i = 0; i < parts; i++)
        VOLT_TRY(st, done, forward(s, i, run));
    for (int i = 0; i < parts; i++) {
        VOLT_TRY(st, done, loss_of(s, i, &own));
        sum += own / parts;
    }
    *loss = sum;
    for (int i = 0; isfinite(sum) && i < parts; i++)
        VOLT_TRY(st, done, backward(s, i, parts));
done:
    return st;
}

/* ---- what it costs ---- */

typedef struct stage_facts {
    volt_program_memory memory;
    double flops;
    size_t sent;
} stage_facts;

static stage_facts facts_of(const volt_session *s)
{
    stage_facts f = {.flops = 0};

    volt_program_memory_of(s->program, &f.memory);
    for (int i = 0; i < volt_program_step_count(s->program); i++) {
        const char *end;
        volt_step_info info;

        volt_program_step(s->program, i, &info);
        end = strrchr(info.name, ' ');
        f.flops += info.flops;
        if (end && strcmp(end, " send") == 0)
            f.sent += info.sent;
    }
    return f;
}

#define MIB (1.0 / (1 << 20))

volt_status volt_stages_report(volt_session *s)
{
    const int stages = volt_session_stage_count(s);
    const int64_t parts = s->recipe.recipe.accumulate;
    const stage_facts own = facts_of(s);
    stage_facts *all = NULL;
    double flops = 0;
    volt_status st = VOLT_OK;

    if (stages == 1 || !s->ranks.mesh)
        return VOLT_OK;
    VOLT_TRY(st, done, volt_alloc(&all, (size_t)stages * sizeof *all, "facts of stages"));
    VOLT_TRY(st, done, volt_comm_all_gather(s->ranks.mesh->stage, all, &own, sizeof own));
    for (int i = 0; i < stages; i++)
        flops += all[i].flops;
    volt_report(s->cb, VOLT_LOG_INFO,
                "%d stages, %lld part%s of a batch under way: each stage waits %.0f %% of a "
                "step",
                stages, (long long)parts, volt_s(parts),
                100.0 * (stages - 1) / (double)(parts + stages - 1));
    for (int i = 0; i < stages; i++)
        volt_report(s->cb, VOLT_LOG_INFO,
                    "stage %d: %.0f %% of the operations, %.1f MiB (activations %.1f, packed "
                    "%.1f), sends %.2f MiB for each part",
                    i, flops > 0 ? 100 * all[i].flops / flops : 0,
                    (double)all[i].memory.total * MIB, (double)all[i].memory.activations * MIB,
                    (double)all[i].memory.packed * MIB, (double)all[i].sent * MIB);
done:
    volt_free(all);
    return st;
}
