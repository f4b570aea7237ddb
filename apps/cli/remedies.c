/* remedies.c - which option helps against which sentence of the library, which knows none; and
 * the file that a sentence lacks. */
#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"

static const struct {
    const char *words;  /* in the sentence */
    const char *option; /* a command without it has no remedy; NULL: another command helps */
    const char *remedy;
} remedies[] = {
    {"; it is used voxel by voxel", NULL, NULL}, /* with --allow-shift */
    {" mm away from ", "--allow-shift",
     "if the voxels nevertheless match one by one, accept them with --allow-shift"},
    {"choose another format", "--ending", "--ending .nii.gz, for example, chooses one"},
    {"only the name CT selects the normalization", "--channels", "name it with --channels CT"},
    {"leaves the data set's folder", "--allow-outside",
     "if you trust it, accept such paths with --allow-outside"},
    {"is not a data set: it holds no", "--images",
     "other folders are given with --images DIR --labels DIR"},
    {"the work folder ", "--work", "choose another folder with --work DIR"},
    {", inside the data set", "--work", "--work DIR or VOLT_WORK chooses another"},
    {"a folder of its masks is needed", "--previous", "give it with --previous"},
    {"(layout brats-ped2024)", "--layout", "if they are, give --layout brats-ped2024"},
    {"which nnU-Net's trainer does not build", "--format",
     "--format safetensors holds its weights under their own names"},
    {"contains no probabilities", NULL, "predict with --save-probabilities"},
    {"has no predictions in fold_K/validation", NULL,
     "create them with 'volt train --validate --save-probabilities' or 'volt predict RUN "
     "--validation DATASET --save-probabilities'"},
    {"the plan is used as it is", "--replan", "use --replan to plan again"},
    {"the plan is used as it is", NULL, "'volt plan --replan' plans again"},
    {"not with another planner", "--replan", "use --replan"},
    {"there is no data set ", "--images",
     "give the folder that holds dataset.json or the cases, or --images DIR --labels DIR"},
    {"was trained on it, so the masks", "--previous",
     "train the previous stage with --folds 0-4"},
    {"was trained on them, so the masks", "--previous",
     "train the previous stage with --folds 0-4"},
    {"has no training case", "--images",
     "other folders are given with --images DIR --labels DIR"},
    {"its siblings need them, too", "--init", "give the same --init"},
    {".voltcase: the CRC of ", NULL, "remove it, and it is preprocessed again"},
    {"; a budget of 1 min would make it", "--budget", "to set it, give --budget 1m"},
    {"; a budget of 5 min would make it", "--budget", "to set it, give --budget 5m"},
    {"; a budget of 10 min would make it", "--budget", "to set it, give --budget 10m"},
    {"; a budget of 30 min would make it", "--budget", "to set it, give --budget 30m"},
    {"its limit of processes or of memory is too low", "--threads",
     "it needs fewer with --threads 1"},
    {"is a folder, not a regular file", "--header",
     "volt info reads files; 'volt dataset show' describes a data set"},
    {"cannot be split into training and validation", "--fold",
     "train on all cases with --fold all"},
};

static bool takes(const cli_command *command, const char *name)
{
    const cli_option *option;

    for (size_t i = 0; (option = cli_option_at(command, i)) != NULL; i++) {
        if (option->name && strcmp(option->name, name) == 0)
            return true;
    }
    return false;
}

const char *cli_remedy(const cli *c, const char *sentence)
{
    for (size_t i = 0; c->command && i < sizeof remedies / sizeof *remedies; i++) {
        const char *option = remedies[i].option;
        if (strstr(sentence, remedies[i].words) && (!option || takes(c->command, option)))
            return option && strstr(sentence, option) ? NULL : remedies[i].remedy;
    }
    return NULL;
}

volt_status cli_about(volt_status st, const char *path)
{
    char sentence[1024];

    if (st != VOLT_ENOMEM || strstr(volt_last_error(), path))
        return st;
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    return volt_fail(st, "%s: %s", path, sentence);
}
