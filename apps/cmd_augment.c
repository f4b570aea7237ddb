#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "show/samples.h"

enum { CHANNELS_MAX = 32 };

typedef struct augment_options {
    const char *output, *labels;
    cli_list patch;
    int64_t samples, seed, channel, view;
    bool flat;
} augment_options;

static const cli_option options[] = {
    {"--output", 'o', CLI_TEXT, offsetof(augment_options, output), "DIR", NULL, 0, 0,
     "folder for the samples (required)"},
    {"--n", 'n', CLI_INT, offsetof(augment_options, samples), "N", "8", 1, 200,
     "number of samples"},
    {"--labels", 0, CLI_TEXT, offsetof(augment_options, labels), "MASK", NULL, 0, 0,
     "label map of a scan; a preprocessed case has its own"},
    {"--patch", 0, CLI_INTS, offsetof(augment_options, patch), "[D,]H,W", NULL, 1, 1024,
     "sample size in voxels [the case's, at most 128]"},
    {"--2d", 0, CLI_FLAG, offsetof(augment_options, flat), NULL, NULL, 0, 0,
     "2-D slices, augmented as in a 2d configuration"},
    {"--seed", 0, CLI_INT, offsetof(augment_options, seed), "S", "0", 0, 9e15,
     "random seed; the same seed gives the same samples"},
    {"--channel", 0, CLI_INT, offsetof(augment_options, channel), "C", "0", 0, 31,
     "channel shown in the picture"},
    {"--size", 0, CLI_INT, offsetof(augment_options, view), "PIXELS", "160", 64, 1024,
     "longest side of a view in the picture"},
};

/* Source of the samples: the file of a preprocessed case, or a scan. */
typedef struct input {
    const volt_stored_case *preprocessed;
    volt_shown_case scan;
} input;

static bool is_preprocessed(const char *path)
{
    const size_t length = strlen(path), ending = strlen(VOLT_CASE_SUFFIX);

    return length > ending && strcmp(path + length - ending, VOLT_CASE_SUFFIX) == 0;
}

static volt_status read_input(input *in, const cli *c)
{
    const augment_options *o = c->options;
    volt_case files = {.id = (char *)c->args[0],
                       .files = c->args_count,
                       .file = (char **)c->args,
                       .label_file = (char *)o->labels};
    volt_status st;

    if (!is_preprocessed(c->args[0]))
        return volt_shown_case_read(&in->scan, &files, (int)c->threads);
    if (c->args_count > 1 || o->labels)
        return volt_fail(VOLT_EINVAL,
                         "%s is a preprocessed case, which holds all channels and labels; give "
                         "no other file",
                         c->args[0]);
    st = volt_stored_case_open(&in->preprocessed, c->args[0]);
    if (st == VOLT_OK)
        st = volt_stored_case_verify(in->preprocessed);
    return st;
}

static volt_status print_samples(const cli *c, const volt_shown_sample *s)
{
    const augment_options *o = c->options;
    json_t *list = NULL;

    if (!c->json) {
        for (int64_t i = 0; i < o->samples && !c->quiet; i++)
            printf("sample %lld: %s\n", (long long)i + 1, s[i].changes);
        if (!c->quiet)
            printf("%s: %lld sample%s and samples.png\n", o->output, (long long)o->samples,
                   volt_s(o->samples));
        return VOLT_OK;
    }
    list = json_array();
    for (int64_t i = 0; i < o->samples; i++)
        json_array_append_new(
            list, json_pack("{s:I, s:[I, I, I], s:s}", "sample", (json_int_t)i + 1, "corner",
                            (json_int_t)s[i].corner[0], (json_int_t)s[i].corner[1],
                            (json_int_t)s[i].corner[2], "changes", s[i].changes));
    return cli_print_json(
        json_pack("{s:o, s:o}", "folder", volt_json_string(o->output), "samples", list));
}

static volt_status run(cli *c)
{
    const augment_options *o = c->options;
    volt_show_samples_options show = volt_show_samples_defaults();
    volt_shown_sample *samples = NULL;
    input in = {0};
    volt_status st;

    show.samples = o->samples;
    show.is_2d = o->flat;
    show.seed = (uint64_t)o->seed;
    show.channel = (int32_t)o->channel;
    show.view = o->view;
    show.threads = (int)c->threads;
    show.callbacks = &c->callbacks;
    VOLT_TRY(st, done, cli_need_output(c, o->output, NULL));
    for (int i = 0; i < o->patch.count; i++)
        show.patch[3 - o->patch.count + i] = (int64_t)o->patch.v[i];
    show.is_2d = show.is_2d || o->patch.count == 2;
    VOLT_TRY(st, done,
             volt_alloc_zero(&samples, (size_t)o->samples, sizeof *samples, "samples"));
    VOLT_TRY(st, done, read_input(&in, c));
    st = volt_show_samples(samples, o->output,
                           in.preprocessed ? in.preprocessed : &in.scan.stored,
                           volt_path_name(c->args[0]), &show);
    cli_end_progress(c);
    if (st == VOLT_OK)
        st = print_samples(c, samples);
done:
    volt_shown_case_clear(&in.scan);
    volt_stored_case_close(in.preprocessed);
    volt_free(samples);
    return st;
}

const cli_command cmd_augment = {
    .name = "augment",
    .section = CLI_VISUALS,
    .one_line = "write augmented training samples for inspection",
    .args = "CASE... -o DIR",
    .min_args = 1,
    .max_args = CHANNELS_MAX,
    .about = "Draws training samples from one case with nnU-Net's random augmentation and "
             "writes them as NIfTI: DIR/sample_1_0000.nii.gz (one file per channel) and "
             "DIR/sample_1.nii.gz (labels). DIR/samples.png shows every sample before and "
             "after, with the changes that were made. CASE is a preprocessed case (.voltcase "
             "in the work folder), or the files of a scan, one per channel or all in one; the "
             "channels of a scan are first normalized to mean 0 and standard deviation 1.",
    .example = "volt augment scan_0000.nii.gz scan_0001.nii.gz --labels truth.nii.gz -o look\n"
               "volt augment work/nnUNetPlans_2d/hippocampus_001.voltcase -o look --2d",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, augment_options),
    .run = run,
};
