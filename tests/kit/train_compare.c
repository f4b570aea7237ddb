#include "tests/kit/train_compare.h"

static void on_progress(void *user, const char *what, int64_t done, int64_t total)
{
    stopper *s = user;

    (void)total;
    if (strcmp(what, "iterations") != 0 || done < s->at)
        return;
    s->reached = true;
    if (s->kill)
        kill(getpid(), SIGKILL);
}

static bool on_cancelled(void *user)
{
    return ((stopper *)user)->reached;
}

volt_callbacks callbacks_of(stopper *s)
{
    return (volt_callbacks){
        .user = s, .progress = on_progress, .cancelled = s->kill ? NULL : on_cancelled};
}

void assert_same_run(const char *a, const char *b)
{
    char path_a[128], path_b[128];
    volt_safetensors *file_a = NULL, *file_b = NULL;
    volt_checkpoint_head head_a, head_b;
    volt_train_state state_a, state_b;
    char *text_a = NULL, *text_b = NULL;

    snprintf(path_a, sizeof path_a, "%s" LATEST, a);
    snprintf(path_b, sizeof path_b, "%s" LATEST, b);
    assert_ok(volt_safetensors_open(&file_a, path_a));
    assert_ok(volt_safetensors_open(&file_b, path_b));
    assert_true(volt_safetensors_count(file_a) > 20);
    assert_int_equal(volt_safetensors_count(file_a), volt_safetensors_count(file_b));
    for (size_t i = 0; i < volt_safetensors_count(file_a); i++) {
        const volt_tensor_view *v = volt_safetensors_at(file_a, i);
        const volt_tensor_view *w = volt_safetensors_find(file_b, v->name);
        assert_non_null(w);
        assert_int_equal(v->bytes, w->bytes);
        if (memcmp(v->data, w->data, v->bytes) != 0)
            fail_msg("%s differs", v->name);
    }
    volt_safetensors_close(file_b);
    volt_safetensors_close(file_a);
    assert_ok(volt_checkpoint_read_head(&head_a, path_a));
    assert_ok(volt_checkpoint_read_head(&head_b, path_b));
    assert_ok(volt_train_state_parse(&state_a, head_a.state, path_a));
    assert_ok(volt_train_state_parse(&state_b, head_b.state, path_b));
    state_a.seconds = state_b.seconds = state_a.data_wait_s = state_b.data_wait_s = 0;
    state_a.epoch_s = state_b.epoch_s = state_a.epoch_wait_s = state_b.epoch_wait_s = 0;
    assert_ok(volt_train_state_text(&text_a, &state_a));
    assert_ok(volt_train_state_text(&text_b, &state_b));
    assert_string_equal(text_a, text_b);
    volt_free(text_b);
    volt_free(text_a);
    volt_checkpoint_head_free(&head_b);
    volt_checkpoint_head_free(&head_a);
}

void train_and_kill(const char *run, const fixture *f, const volt_train_options *o, int64_t at)
{
    int status = 0;
    const pid_t child = fork();

    assert_true(child >= 0);
    if (child == 0) {
        stopper s = {.at = at, .kill = true};
        const volt_callbacks cb = callbacks_of(&s);
        _exit(volt_train(run, &f->data, o, &cb, NULL) == VOLT_OK ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}
