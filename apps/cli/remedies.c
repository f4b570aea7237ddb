/* remedies.c - which option helps against which sentence of the library, which knows none; and
 * the file that a sentence lacks. */
#include <stdio.h>
#include <string.h>
#include "apps/cli/cli.h"

/* The words are those of the library's source, where tests/house/remedies.sh finds them. */
static const struct {
    const char *words;  /* in the sentence; %s or another conversion is any text */
    const char *option; /* a command without it has no remedy; NULL: another command helps */
    const char *remedy; /* with at most one %s, the text of the first conversion */
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
    {"was trained on %s, so the masks", "--previous",
     "train the previous stage with --folds 0-4"},
    {"has no training case", "--images",
     "other folders are given with --images DIR --labels DIR"},
    {"its siblings need them, too", "--init", "give the same --init"},
    {"the CRC of the locations of label ", NULL, "remove it, and it is preprocessed again"},
    {"the CRC of the voxels is ", NULL, "remove it, and it is preprocessed again"},
    {"; a budget of %.0f min would make it", "--budget", "to set it, give --budget %sm"},
    {"its limit of processes or of memory is too low", "--threads",
     "it needs fewer with --threads 1"},
    {"is a folder and holds no pictures (", "--header",
     "'volt dataset show' describes a data set"},
    {" splits scans over ", "--ranks",
     "--ranks N makes N ranks of this process, mpirun -n N starts them as processes"},
    {", but there %s %d; the nearest that ", "--ranks",
     "--ranks N makes N ranks of this process, mpirun -n N starts them as processes"},
    {", but no mesh says how", "--mesh", "give --mesh"},
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

/* The first place in `text` of the `bytes` at `part`; NULL = none. */
static const char *find(const char *text, const char *part, size_t bytes)
{
    for (; strncmp(text, part, bytes) != 0; text++) {
        if (!*text)
            return NULL;
    }
    return text;
}

/* What the first conversion of a row stands for. */
typedef struct value {
    const char *at;
    int length;
} value;

/* Whether the sentence holds `words`. */
static bool holds(value *out, const char *sentence, const char *words)
{
    const char *at = sentence;

    for (int part = 0;; part++) {
        const size_t bytes = strcspn(words, "%");
        const char *found = find(at, words, bytes);
        if (!found)
            return false;
        if (part == 1)
            *out = (value){at, (int)(found - at)};
        at = found + bytes;
        words += bytes;
        if (!*words)
            return true;
        words += strcspn(words, "sdufg") + 1; /* %.0f */
    }
}

const char *cli_remedy(char room[CLI_REMEDY_ROOM], const cli *c, const char *sentence)
{
    value v = {"", 0};

    *room = '\0';
    for (size_t i = 0; c->command && i < sizeof remedies / sizeof *remedies; i++) {
        const char *option = remedies[i].option, *remedy = remedies[i].remedy, *blank;
        if (!holds(&v, sentence, remedies[i].words) || (option && !takes(c->command, option)))
            continue;
        if (!remedy || (option && strstr(sentence, option)))
            return room;
        blank = strstr(remedy, "%s");
        if (blank)
            snprintf(room, CLI_REMEDY_ROOM, "; %.*s%.*s%s", (int)(blank - remedy), remedy,
                     v.length, v.at, blank + 2);
        else
            snprintf(room, CLI_REMEDY_ROOM, "; %s", remedy);
        return room;
    }
    return room;
}

volt_status cli_about(volt_status st, const char *path)
{
    char sentence[1024];

    if (st != VOLT_ENOMEM || strstr(volt_last_error(), path))
        return st;
    snprintf(sentence, sizeof sentence, "%s", volt_last_error());
    return volt_fail(st, "%s: %s", path, sentence);
}
