/* foreign.c - calls that work with other programs, or in other builds: what helps here. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "apps/cli/cli.h"
#include "base/core/alloc.h"
#include "base/system/file.h"
#include "nets3d/device.h"
#include "parallel/launcher.h"

/* ---- nnU-Net's options ---- */

static const struct {
    const char *command; /* NULL: any */
    const char *option;  /* of nnU-Net */
    const char *here;
} known[] = {
    {"predict", "-f", "--folds, such as --folds 0,1"},
    {"predict", "-tr", "the folder RUN"},
    {"predict", "-p", "the folder RUN"},
    {"predict", "-chk", "--checkpoint best|latest"},
    {"predict", "-m", "the folder RUN"},
    {"predict", "-step_size", "--step"},
    {"predict", "--disable_tta", "--no-mirror"},
    {"predict", "-prev_stage_predictions", "--previous"},
    {"predict", "--continue_prediction", "--skip-existing"},
    {"predict", "-num_parts", "--part I/N"},
    {"predict", "-part_id", "--part I/N"},
    {"predict", "--disable_progress_bar", "--quiet"},
    {"train", "-tr", "the options of the recipe, such as --epochs or --loss"},
    {"train", "-p", "--work, the folder of the plan"},
    {"train", "--c", "--resume"},
    {"train", "--val", "--validate"},
    {"train", "--npz", "--save-probabilities"},
    {"train", "-pretrained_weights", "--init"},
    {"train", "-f", "--fold"},
    {"train", "-c", "--configuration"},
    {"train", "-d", "the folder DATASET"},
    {"plan", "-d", "the folder DATASET"},
    {"plan", "-pl", "--planner"},
    {"plan", "-gpu_memory_target", "--memory"},
    {"plan", "-overwrite_target_spacing", "--spacing"},
    {"plan", "--verify_dataset_integrity", "'volt check'"},
    {"preprocess", "-d", "the folder DATASET"},
    {"preprocess", "-c", "--configuration"},
    {"evaluate", "-djfile", "--labels"},
    {"evaluate", "-pfile", "--labels"},
    {"ensemble", "-i", "the folders as arguments: volt ensemble FOLDER... -o OUT"},
    {"ensemble", "--npz", "--save-probabilities"},
    {"postprocess apply", "-i", "the folder PRED as an argument"},
    {"postprocess apply", "-pp_pkl_file", "--steps with a postprocessing.json"},
    {NULL, "-np", "--threads"},
    {NULL, "-npp", "--threads"},
    {NULL, "-nps", "--threads"},
};

static const char *value_after(const char *option, int count, char **argv)
{
    for (int i = 0; i + 1 < count; i++) {
        if (strcmp(argv[i], option) == 0)
            return argv[i + 1];
    }
    return NULL;
}

/* volt predict -i IN -o OUT -d 4 -c 3d_fullres -f 0 1 */
static volt_status predict_line(const char *word, int count, char **argv)
{
    const char *in = value_after("-i", count, argv), *out = value_after("-o", count, argv);
    const char *fold = value_after("-f", count, argv);

    return volt_fail(
        VOLT_EINVAL,
        "volt predict has no option '%s'; nnU-Net's call is here: volt predict RUN %s -o "
        "%s%s%s, "
        "with RUN a run of 'volt train', or of 'volt import model' for a folder of nnU-Net's "
        "results, such as nnUNet_results/DATASET/nnUNetTrainer__nnUNetPlans__3d_fullres",
        word, in ? in : "INPUT", out ? out : "OUT", fold ? " --folds " : "", fold ? fold : "");
}

/* ---- devices ---- */

static bool names_device(const char *word, size_t bytes)
{
    static const char *const words[] = {"--device", "-device",    "--gpu",     "--gpus",
                                        "-gpus",    "--num_gpus", "-num_gpus", "--cuda"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) == bytes && strncmp(words[i], word, bytes) == 0)
            return true;
    }
    return false;
}

static volt_status no_gpu(const char *word, size_t bytes, const char *value)
{
    return volt_fail(VOLT_ENOTSUP,
                     "%.*s%s%s: this build has no GPU support (CUDA or other) and computes on "
                     "the CPU; leave the option out",
                     (int)bytes, word, value ? " " : "", value ? value : "");
}

/* A flag (--cuda) has no value; devices' names are judged by opening them. These commands
 * compute on the CPU alone. */
static volt_status judge_device(const char *word, size_t bytes, const char *value)
{
    volt_device *device = NULL;
    volt_status st;

    if (!strstr(word, "device"))
        return no_gpu(word, bytes, NULL);
    if (!value)
        return volt_fail(VOLT_EINVAL, "%.*s needs a value: cpu", (int)bytes, word);
    st = volt_device_open(&device, value);
    volt_device_close(device);
    if (st == VOLT_ENOTSUP)
        return no_gpu(word, bytes, value);
    if (st != VOLT_OK && st != VOLT_EINVAL)
        return st;
    if (st != VOLT_OK || strncmp(value, "cpu", 3) != 0)
        return volt_fail(VOLT_EINVAL, "%.*s: '%s' is not a device; this build has cpu",
                         (int)bytes, word, value);
    return VOLT_OK;
}

volt_status cli_foreign_option(bool *taken, const cli_command *command, int *i, int count,
                               char **argv)
{
    const char *word = argv[*i];
    const size_t bytes = strcspn(word, "=");
    const char *value = word[bytes] == '=' ? word + bytes + 1 : NULL;
    volt_status st;

    *taken = false;
    if (names_device(word, bytes)) {
        const bool next = !value && *i + 1 < count && argv[*i + 1][0] != '-';

        st = judge_device(word, bytes, next ? argv[*i + 1] : value);
        *i += st == VOLT_OK && next;
        *taken = st == VOLT_OK;
        return st;
    }
    if (strcmp(command->name, "predict") == 0 &&
        (strcmp(word, "-i") == 0 || strcmp(word, "-d") == 0 || strcmp(word, "-c") == 0))
        return predict_line(word, count, argv);
    for (size_t k = 0; k < sizeof known / sizeof *known; k++) {
        if (strlen(known[k].option) == bytes && strncmp(known[k].option, word, bytes) == 0 &&
            (!known[k].command || strcmp(known[k].command, command->name) == 0))
            return volt_fail(VOLT_EINVAL,
                             "volt %s has no option '%s' of nnU-Net; here it is %s",
                             command->name, known[k].option, known[k].here);
    }
    return VOLT_OK;
}

const char *cli_foreign_command(const char *word)
{
    static const char *const names[][2] = {
        {"predict", "predict"},
        {"predict_from_modelfolder", "predict"},
        {"train", "train"},
        {"plan_and_preprocess", "plan', then 'volt train"},
        {"extract_fingerprint", "plan"},
        {"plan_experiment", "plan"},
        {"preprocess", "preprocess"},
        {"ensemble", "ensemble"},
        {"apply_postprocessing", "postprocess apply"},
        {"determine_postprocessing", "postprocess find"},
        {"evaluate_folder", "evaluate"},
        {"find_best_configuration", "best"},
        {"convert_MSD_dataset", "import dataset"},
        {"install_pretrained_model_from_zip", "import model"},
        {"export_model_to_zip", "export model"},
        {"plot_overlay_pngs", "snapshot"},
    };

    static const char *const prefixes[] = {"nnUNetv2_", "nnUNet_", ""};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        for (size_t k = 0; k < sizeof prefixes / sizeof *prefixes; k++) {
            const size_t n = strlen(prefixes[k]);
            if (strncmp(word, prefixes[k], n) == 0 && strcmp(word + n, names[i][0]) == 0)
                return names[i][1];
        }
    }
    return NULL;
}

/* ---- launchers ---- */

static volt_status refuse_processes(const char *who, const char *variable, const char *parts)
{
    return volt_fail(
        VOLT_ENOTSUP,
        "%s started %s processes (%s), but each of them would do all the work and write the "
        "same files; start one, split the cases with 'volt predict "
        "--part I/%s', or unset %s if each has work of its own",
        who, *parts == 'N' ? "several" : parts, variable, parts, variable);
}

volt_status cli_need_one_process(int count, char **argv)
{
    volt_launcher launcher;
    char parts[24] = "N";

    for (int i = 0; i < count; i++) {
        if (strncmp(argv[i], "--part", 6) == 0) /* processes that share the work themselves */
            return VOLT_OK;
    }
    if (!volt_launcher_find(&launcher))
        return VOLT_OK;
    if (launcher.processes > 0)
        snprintf(parts, sizeof parts, "%d", launcher.processes);
    return refuse_processes(launcher.who, launcher.variable, parts);
}

/* ---- files and folders ---- */

volt_status cli_check_inputs(const char *const *path, int count)
{
    for (int i = 0; i < count; i++) {
        if (access(path[i], F_OK) != 0)
            return volt_fail(VOLT_EIO, "cannot open %s: %s", path[i], strerror(errno));
    }
    return VOLT_OK;
}

/* The nearest folder of `path` that exists; the caller owns *out. */
static volt_status existing_parent(char **out, const char *path)
{
    char *folder, *slash;
    volt_status st = volt_strdup(&folder, path);

    if (st != VOLT_OK)
        return st;
    while (!volt_path_exists(folder) && (slash = strrchr(folder, '/')) != NULL &&
           slash != folder)
        *slash = '\0';
    if (!volt_path_exists(folder)) {
        const bool absolute = *folder == '/';
        volt_free(folder);
        return volt_strdup(out, absolute ? "/" : ".");
    }
    *out = folder;
    return VOLT_OK;
}

volt_status cli_check_output_folder(const char *path)
{
    char *parent = NULL;
    volt_status st;

    if (!path)
        return VOLT_OK;
    if (volt_path_exists(path) && !volt_path_is_dir(path))
        return volt_fail(VOLT_EIO, "%s is a file; a folder for the output is expected", path);
    VOLT_TRY(st, done, existing_parent(&parent, path));
    if (!volt_path_is_dir(parent))
        st = volt_fail(VOLT_EIO, "cannot create %s: %s is a file", path, parent);
    else if (!volt_path_is_writable_dir(parent))
        st = volt_fail(VOLT_EIO, "cannot create %s: %s is not writable", path, parent);
done:
    volt_free(parent);
    return st;
}

volt_status cli_check_output_file(const char *path)
{
    char *folder = NULL;
    size_t bytes;
    volt_status st = VOLT_OK;

    if (!path)
        return VOLT_OK;
    if (volt_path_is_dir(path))
        return volt_fail(VOLT_EIO, "%s is a folder; a file for the output is expected", path);
    bytes = (size_t)(volt_path_name(path) - path);
    VOLT_TRY(st, done, volt_format(&folder, "%.*s", (int)bytes, bytes ? path : ""));
    if (bytes && !volt_path_is_dir(folder))
        st = volt_fail(VOLT_EIO, "cannot create %s: there is no folder %s", path, folder);
    else if (!volt_path_is_writable_dir(bytes ? folder : "."))
        st = volt_fail(VOLT_EIO, "cannot create %s: its folder is not writable", path);
done:
    volt_free(folder);
    return st;
}
