#include <math.h>
#include <stdio.h>
#include <string.h>
#include "apps/cli/dataset_options.h"
#include "base/mem.h"
#include "base/core/plural.h"
#include "io/image.h"
#include "volume/orient.h"

typedef struct show_options {
    cli_dataset data;
} show_options;

static const cli_option options[] = {CLI_DATASET_OPTIONS(show_options, data)};

/* Summary of the image headers. */
typedef struct survey {
    int64_t read, unreadable;
    double least_mm[3], most_mm[3]; /* z, y, x */
    int64_t least[3], most[3];      /* voxels */
    char orientation[8][8];         /* or "unknown" */
    int64_t lying[8];               /* number of cases per orientation */
    int orientations;
} survey;

static void count_orientation(survey *s, const volt_image_header *header)
{
    char codes[8] = "unknown";
    int k = 0;

    if (volt_image_knows_orientation(header))
        volt_orientation_codes(codes, &header->grid);
    while (k < s->orientations && strcmp(s->orientation[k], codes) != 0)
        k++;
    if (k == 8)
        return;
    if (k == s->orientations) {
        memcpy(s->orientation[k], codes, sizeof codes);
        s->orientations++;
    }
    s->lying[k]++;
}

static void take_header(survey *s, const volt_image_header *header)
{
    const volt_grid *grid = &header->grid;
    double mm[3];

    volt_grid_spacing(mm, grid);
    for (int a = 0; a < 3; a++) {
        const bool first = s->read == 0;
        s->least_mm[a] = first ? mm[a] : fmin(s->least_mm[a], mm[a]);
        s->most_mm[a] = first ? mm[a] : fmax(s->most_mm[a], mm[a]);
        s->least[a] = first || grid->n[a] < s->least[a] ? grid->n[a] : s->least[a];
        s->most[a] = first || grid->n[a] > s->most[a] ? grid->n[a] : s->most[a];
    }
    count_orientation(s, header);
    s->read++;
}

static void look(survey *s, const volt_dataset *ds)
{
    for (int64_t i = 0; i < ds->cases.count; i++) {
        const volt_case *c = &ds->cases.item[i];
        volt_image_header *header = NULL;

        if (c->files > 0 && volt_image_info(&header, c->file[0]) == VOLT_OK)
            take_header(s, header);
        else
            s->unreadable++;
        volt_image_header_free(header);
    }
}

static int64_t unlabelled(const volt_dataset *ds)
{
    int64_t count = 0;

    for (int64_t i = 0; i < ds->cases.count; i++)
        count += !ds->cases.item[i].label_file;
    return count;
}

/* The value of label `l` in the data set's files. */
static int32_t stored(const volt_dataset_info *info, int l)
{
    return info->stored ? info->stored[l] : info->label[l].value;
}

/* -- Text --------------------------------------------------------------------------------- */

static void print_labels(const volt_dataset_info *info)
{
    printf("labels%s\n", info->stored ? "        in files  in training" : "");
    for (int l = 0; l < info->labels; l++) {
        if (info->stored)
            printf("  %20d  %11d  %s\n", stored(info, l), info->label[l].value,
                   info->label[l].name);
        else
            printf("  %11d  %s\n", info->label[l].value, info->label[l].name);
    }
    if (info->ignore_label >= 0)
        printf("  %11d  ignored\n", info->stored ? info->stored_ignore : info->ignore_label);
    if (info->label_flip[0] || info->label_flip[1] || info->label_flip[2])
        printf("  PNG label files are reversed along%s%s%s\n", info->label_flip[2] ? " x" : "",
               info->label_flip[1] ? " y" : "", info->label_flip[0] ? " z" : "");
    for (int i = 0; i < info->thresholds; i++)
        printf("  label %d: grey values from %g\n", i + 1, info->threshold[i]);
    if (info->regions)
        printf("regions       (labels in training; written as)\n");
    for (int r = 0; r < info->regions; r++) {
        const volt_label_region *region = &info->region[r];
        printf("  %-20s ", region->name);
        for (int v = 0; v < region->values; v++)
            printf("%s%d", v ? "," : "", region->value[v]);
        printf("; %d\n", region->painted);
    }
}

static void print_survey(const survey *s)
{
    if (s->read > 0) {
        printf("voxels x,y,z  %lld x %lld x %lld to %lld x %lld x %lld\n",
               (long long)s->least[2], (long long)s->least[1], (long long)s->least[0],
               (long long)s->most[2], (long long)s->most[1], (long long)s->most[0]);
        printf("spacing       %.4g x %.4g x %.4g to %.4g x %.4g x %.4g mm\n", s->least_mm[2],
               s->least_mm[1], s->least_mm[0], s->most_mm[2], s->most_mm[1], s->most_mm[0]);
        printf("orientation  ");
        for (int k = 0; k < s->orientations; k++)
            printf(" %s (%lld)", s->orientation[k], (long long)s->lying[k]);
        putchar('\n');
    }
    if (s->unreadable)
        printf("unreadable    the first image of %lld case%s; run 'volt check' for details\n",
               (long long)s->unreadable, volt_s(s->unreadable));
}

static void print_text(const cli *c, const volt_dataset *ds, const survey *s)
{
    const volt_dataset_info *info = &ds->info;

    printf("%s: %s\n", ds->folder, ds->layout);
    printf("name          %s\n", info->name);
    printf("cases         %lld for training", (long long)ds->cases.count);
    if (unlabelled(ds))
        printf(" (%lld without labels)", (long long)unlabelled(ds));
    printf(", %lld to predict\n", (long long)ds->tests.count);
    printf("channels     ");
    for (int i = 0; i < info->channels; i++)
        printf(" %d %s%s", i, info->channel_name[i], i + 1 < info->channels ? "," : "\n");
    print_labels(info);
    print_survey(s);
    cli_dataset_print_notes(c, ds);
}

/* -- JSON --------------------------------------------------------------------------------- */

static json_t *labels_json(const volt_dataset_info *info)
{
    json_t *list = json_array();

    for (int l = 0; l < info->labels; l++)
        json_array_append_new(list, json_pack("{s:s, s:i, s:i}", "name", info->label[l].name,
                                              "value", (int)info->label[l].value, "stored",
                                              (int)stored(info, l)));
    return list;
}

static json_t *regions_json(const volt_dataset_info *info)
{
    json_t *list = json_array();

    for (int r = 0; r < info->regions; r++) {
        const volt_label_region *region = &info->region[r];
        json_t *values = json_array();
        for (int v = 0; v < region->values; v++)
            json_array_append_new(values, json_integer(region->value[v]));
        json_array_append_new(list, json_pack("{s:s, s:o, s:i}", "name", region->name, "labels",
                                              values, "painted", (int)region->painted));
    }
    return list;
}

static json_t *cases_json(const volt_case_list *cases)
{
    json_t *list = json_array();

    for (int64_t i = 0; i < cases->count; i++) {
        const volt_case *c = &cases->item[i];
        json_array_append_new(list, json_pack("{s:o, s:o, s:o?}", "id", volt_json_string(c->id),
                                              "images", cli_json_strings(c->file, c->files),
                                              "labels", volt_json_string(c->label_file)));
    }
    return list;
}

static json_t *survey_json(const survey *s)
{
    json_t *lying = json_object();

    for (int k = 0; k < s->orientations; k++)
        json_object_set_new(lying, s->orientation[k], json_integer(s->lying[k]));
    if (s->read == 0)
        return json_pack("{s:I, s:o}", "unreadable", (json_int_t)s->unreadable, "orientations",
                         lying);
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:I}", "shape_min",
                     volt_json_array_of_ints(s->least, 3), "shape_max",
                     volt_json_array_of_ints(s->most, 3), "spacing_min",
                     volt_json_array_of_doubles(s->least_mm, 3), "spacing_max",
                     volt_json_array_of_doubles(s->most_mm, 3), "orientations", lying,
                     "unreadable", (json_int_t)s->unreadable);
}

static volt_status print_json(const volt_dataset *ds, const survey *s)
{
    const volt_dataset_info *info = &ds->info;

    return cli_print_json(json_pack(
        "{s:o, s:s, s:o, s:o, s:o, s:o, s:i, s:o, s:o, s:o, s:o}", "dataset",
        volt_json_string(ds->folder), "layout", ds->layout, "name",
        volt_json_string(info->name), "channels",
        cli_json_strings(info->channel_name, info->channels), "labels", labels_json(info),
        "regions", regions_json(info), "ignore_label", (int)info->ignore_label, "images",
        survey_json(s), "notes", cli_json_strings(ds->note, ds->notes), "cases",
        cases_json(&ds->cases), "tests", cases_json(&ds->tests)));
}

static volt_status run(cli *c)
{
    show_options *o = c->options;
    volt_dataset *ds = NULL;
    survey s = {0};
    volt_status st;

    VOLT_TRY(st, done, cli_dataset_open(&ds, c, &o->data));
    VOLT_TRY(st, done, cli_dataset_need_cases(ds));
    look(&s, ds);
    if (c->json)
        st = print_json(ds, &s);
    else
        print_text(c, ds, &s);
done:
    volt_dataset_close(ds);
    return st;
}

const cli_command cmd_dataset_show = {
    .name = "dataset show",
    .section = CLI_DATA,
    .one_line = "print a data set's layout, cases, channels and labels",
    .args = CLI_DATASET_ARGS,
    .min_args = 0,
    .max_args = 1,
    .about = "Detects the layout of DATASET (nnU-Net raw, Medical Segmentation Decathlon, "
             "BraTS, LiTS, or --images DIR --labels DIR) and prints what training would use: "
             "cases, channels, labels with their values in the files, regions, sizes, "
             "spacings, orientations, and a note on every irregularity with the rule applied. "
             "Only headers are read.",
    .example = "volt dataset show MICCAI_BraTS2020_TrainingData",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, show_options),
    .run = run,
};
