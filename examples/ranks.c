/* ranks - trains a network on several ranks, then segments a scan with it.
 *
 * usage: mpirun -n N ranks DATASET RUN EPOCHS ITERATIONS SCAN MASK
 *
 * Without mpirun it does the same on one rank. All ranks see the same files.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <volt/volt.h>

/* Rank 0 plans and preprocesses while the others wait; they then find the work done. */
static volt_status prepare(volt_pipeline *out, volt_comm *comm, const char *dataset)
{
    const int first = volt_comm_rank(comm) == 0;
    volt_pipeline_options options = volt_pipeline_defaults();
    volt_status st = VOLT_OK;

    options.dataset = dataset;
    if (first)
        st = volt_pipeline_run(out, &options);
    st = volt_comm_agree(comm, st); /* all go on, or all fail with the same sentence */
    if (st == VOLT_OK && !first)
        st = volt_pipeline_run(out, &options);
    return st;
}

/* All cases but the last train, the last one validates. */
static volt_status train(volt_comm *comm, const volt_pipeline *p, const char *run, int epochs,
                         int iterations)
{
    const int64_t cases = p->dataset->cases.count;
    volt_train_options options = volt_train_defaults();
    volt_recipe recipe = volt_recipe_nnunet();
    volt_train_result result;
    const char **names = calloc((size_t)cases, sizeof *names);
    char mesh[32];
    volt_status st;

    if (!names)
        return volt_fail(VOLT_ENOMEM, "no memory for the names of the cases");
    for (int64_t i = 0; i < cases; i++)
        names[i] = p->dataset->cases.item[i].id;
    recipe.epochs = epochs;
    recipe.iterations = iterations;
    recipe.validation_iterations = iterations / 5 + 1;
    options.recipe = &recipe;
    options.comm = comm;
    /* Each rank has other samples of a batch; "z=2" would split every sample. */
    snprintf(mesh, sizeof mesh, "data=%d", volt_comm_size(comm));
    options.mesh = mesh;
    st = volt_train(run,
                    &(volt_train_data){.plan = p->plan,
                                       .config = p->config,
                                       .info = &p->dataset->info,
                                       .store = p->cases,
                                       .train = names,
                                       .train_count = cases - 1,
                                       .validate = names + cases - 1,
                                       .validate_count = 1},
                    &options, NULL, &result);
    if (st == VOLT_OK && volt_comm_rank(comm) == 0)
        printf("loss %.6f on %d rank(s), %s\n", result.train_loss, volt_comm_size(comm),
               volt_comm_library(comm));
    free(names);
    return st;
}

/* Rank 0 reads and writes; each rank predicts some tiles of the scan. */
static volt_status segment(volt_comm *comm, const char *run, const char *scan, const char *mask)
{
    const int first = volt_comm_rank(comm) == 0;
    volt_predict_options options = volt_predict_defaults();
    volt_predictor *predictor = NULL;
    volt_image_header *header = NULL;
    volt_volume *image = NULL, *labels = NULL;
    volt_status st = VOLT_OK;

    options.comm = comm;
    options.mesh = "tiles";
    if (first)
        st = volt_image_read(&image, &header, scan, NULL);
    VOLT_TRY(st, done, volt_comm_agree(comm, st));
    VOLT_TRY(st, done, volt_predictor_open(&predictor, &run, 1, &options, NULL));
    VOLT_TRY(st, done, volt_predictor_run(predictor, image, &labels, NULL));
    if (first)
        st = volt_image_write(mask, labels, header, NULL);
    st = volt_comm_agree(comm, st);
done:
    volt_volume_free(labels);
    volt_predictor_free(predictor);
    volt_volume_free(image);
    volt_image_header_free(header);
    return st;
}

static volt_status work(volt_comm *comm, char **word)
{
    volt_pipeline prepared = {0};
    volt_status st;

    VOLT_TRY(st, done, prepare(&prepared, comm, word[0]));
    VOLT_TRY(st, done, train(comm, &prepared, word[1], atoi(word[2]), atoi(word[3])));
    VOLT_TRY(st, done, segment(comm, word[1], word[4], word[5]));
done:
    volt_pipeline_clear(&prepared);
    return st;
}

/* Another rank is gone. May run in a forked child of rank 0: no locks, so no stdio. */
static void lost(void *comm, volt_status st, const char *sentence)
{
    char line[1200];
    const int length = snprintf(line, sizeof line, "ranks: %.1100s\n", sentence);
    const ssize_t written = write(STDERR_FILENO, line, (size_t)length);

    (void)written;
    volt_comm_abort(comm, st);
}

int main(int argc, char **argv)
{
    volt_comm *comm = NULL;
    bool speaks = true;
    volt_status st;

    if (argc != 7) {
        fprintf(stderr, "usage: ranks DATASET RUN EPOCHS ITERATIONS SCAN MASK\n");
        return 2;
    }
    st = volt_comm_open(&comm, "auto");
    volt_comm_watch(comm, lost, comm);
    if (st == VOLT_OK)
        st = work(comm, argv + 1);
    st = volt_comm_conclude(comm, st, &speaks);
    if (st != VOLT_OK) {
        if (speaks) /* one of the ranks, with the sentence of the one that failed first */
            fprintf(stderr, "ranks: %s\n", volt_last_error());
        volt_comm_abort(comm, st);
    }
    volt_comm_close(comm);
    return (int)st;
}
