/* layout_decathlon.c - Medical Segmentation Decathlon: dataset.json with pairs of an image,
 * often 4-D, and labels. */
#include <string.h>

#include "base/mem.h"
#include "io/dataset/layout.h"

enum { MAX_CASES = 10000000 };

static volt_status decathlon_fits(bool *out, const opening *o)
{
    const bool list = o->root && json_is_array(json_object_get(o->root->value, "training"));
    bool nnunet = false;
    const volt_status st = list ? volt_nnunet_v1_fits(&nnunet, o) : VOLT_OK;

    *out = list && !nnunet;
    return st;
}

/* Task01 has the images of BraTS with label values of its own. */
static bool is_brain_tumour(const volt_dataset_info *info)
{
    return info->labels == 4 && info->channels == 4 &&
           strcmp(info->label[1].name, "edema") == 0 && strstr(info->label[2].name, "tumor") &&
           strstr(info->label[3].name, "tumo");
}

static volt_status decathlon_describe(opening *o)
{
    static const known_region nested[] = {{"whole tumor", 3, {1, 2, 3}, 1},
                                          {"tumor core", 2, {2, 3}, 2},
                                          {"enhancing tumor", 1, {3}, 3}};
    volt_dataset_info *info = &o->ds->info;
    volt_json_at odd;
    volt_status st;

    VOLT_TRY(st, done, volt_dataset_info_from(info, o->root));
    VOLT_TRY(st, done, volt_json_optional(&odd, o->root, "relase"));
    if (odd.value)
        VOLT_TRY(st, done,
                 volt_layout_note(o, "dataset.json spells \"release\" as \"relase\"; the key "
                                     "says nothing that is used"));
    if (is_brain_tumour(info)) {
        VOLT_TRY(st, done,
                 volt_layout_note(o,
                                  "labels are numbered as in Task01 of the Decathlon, not as "
                                  "in BraTS: 1 edema, 2 non-enhancing, 3 enhancing"));
        if (o->options->target == VOLT_TARGET_REGIONS)
            st = volt_layout_set_regions(info, nested, 3);
    }
done:
    return st;
}

/* {"image": path, "label": path}, or for tests the path of the image alone. */
static volt_status add_pair(opening *o, const volt_json_at *pair, case_builder *cases)
{
    char *image = NULL, *label = NULL, *id = NULL;
    volt_json_at at;
    volt_case *c;
    volt_status st;

    at = *pair;
    if (!json_is_string(pair->value))
        VOLT_TRY(st, done, volt_json_member(&at, pair, "image"));
    VOLT_TRY(st, done, volt_layout_resolve(&image, o, &at));
    if (volt_is_hidden_file(volt_path_name(image)))
        goto done;
    at.value = NULL;
    if (!json_is_string(pair->value))
        VOLT_TRY(st, done, volt_json_optional(&at, pair, "label"));
    if (at.value)
        VOLT_TRY(st, done, volt_layout_resolve(&label, o, &at));
    VOLT_TRY(st, done, volt_layout_id(&id, image));
    VOLT_TRY(st, done, volt_cases_append(&c, cases, id));
    c->label_file = label;
    label = NULL;
    st = volt_case_add_file(c, image);
    image = NULL;
done:
    volt_free(id);
    volt_free(label);
    volt_free(image);
    return st;
}

static volt_status add_list(opening *o, const char *key, case_builder *cases)
{
    volt_json_at list, at;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_optional(&list, o->root, key));
    if (!list.value)
        goto done;
    VOLT_TRY(st, done, volt_json_length(&count, &list, 0, MAX_CASES));
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_item(&at, &list, i));
        VOLT_TRY(st, done, add_pair(o, &at, cases));
    }
done:
    return st;
}

static volt_status decathlon_list(opening *o)
{
    volt_status st = add_list(o, "training", &o->cases);

    return st == VOLT_OK ? add_list(o, "test", &o->tests) : st;
}

const volt_layout volt_layout_decathlon = {
    .word = "decathlon",
    .name = "Medical Segmentation Decathlon",
    .needs_json = true,
    .fits = decathlon_fits,
    .describe = decathlon_describe,
    .list = decathlon_list,
};
