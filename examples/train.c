/* train - trains a network on a data set, with a progress line; Ctrl-C saves and stops.
 *
 * usage: train DATASET RUN EPOCHS ITERATIONS
 *
 * DATASET is a folder in any layout that VOLT knows, RUN the folder to create. All cases but
 * the last train, the last one validates.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <volt/volt.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

/* -- The callbacks: the library itself never prints -- */

static void show_progress(void *user, const char *what, int64_t done, int64_t total)
{
    (void)user;
    fprintf(stderr, "\r%s %lld/%lld ", what, (long long)done, (long long)total);
    if (done == total)
        fputc('\n', stderr);
}

static void show_line(void *user, volt_log_level level, const char *line)
{
    (void)user;
    if (level <= VOLT_LOG_INFO)
        fprintf(stderr, "%s%s\n", level == VOLT_LOG_WARNING ? "warning: " : "", line);
}

static bool is_cancelled(void *user)
{
    (void)user;
    return interrupted;
}

int main(int argc, char **argv)
{
    const volt_callbacks callbacks = {
        .progress = show_progress, .log = show_line, .cancelled = is_cancelled};
    volt_pipeline_options prepare = volt_pipeline_defaults();
    volt_train_options options = volt_train_defaults();
    volt_recipe recipe = volt_recipe_nnunet();
    volt_pipeline prepared = {0};
    volt_train_result result;
    const char **names = NULL;
    volt_status st;

    if (argc != 5) {
        fprintf(stderr, "usage: train DATASET RUN EPOCHS ITERATIONS\n");
        return 2;
    }
    signal(SIGINT, interrupt);

    /* Checks the data set, plans, and preprocesses every case; a second time it finds the work
     * done. */
    prepare.dataset = argv[1];
    prepare.callbacks = &callbacks;
    VOLT_TRY(st, done, volt_pipeline_run(&prepared, &prepare));

    const int64_t cases = prepared.dataset->cases.count;
    if (cases < 2) {
        st = volt_fail(VOLT_EDATA, "%s has fewer than two cases", argv[1]);
        goto done;
    }
    names = calloc((size_t)cases, sizeof *names);
    if (!names) {
        st = volt_fail(VOLT_ENOMEM, "no memory for the names of the cases");
        goto done;
    }
    for (int64_t i = 0; i < cases; i++)
        names[i] = prepared.dataset->cases.item[i].id;

    recipe.epochs = atoll(argv[3]);
    recipe.iterations = atoll(argv[4]);
    recipe.validation_iterations = recipe.iterations / 5 + 1;
    options.recipe = &recipe;
    st = volt_train(argv[2],
                    &(volt_train_data){.plan = prepared.plan,
                                       .config = prepared.config,
                                       .info = &prepared.dataset->info,
                                       .store = prepared.cases,
                                       .train = names,
                                       .train_count = cases - 1,
                                       .validate = names + cases - 1,
                                       .validate_count = 1},
                    &options, &callbacks, &result);
    if (st == VOLT_OK)
        printf("epochs: %lld, iterations in each: %lld, loss %.4f, validation Dice %.4f\n",
               (long long)result.epochs, (long long)recipe.iterations, result.train_loss,
               result.mean_dice);
done:
    if (st != VOLT_OK)
        fprintf(stderr, "train: %s\n", volt_last_error());
    free(names);
    volt_pipeline_clear(&prepared);
    return st != VOLT_OK;
}
