/* Finding a tensor for every parameter, by name or by a map of names. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/core/plural.h"
#include "io/json/json.h"
#include "nets3d/interop/weights.h"

enum { MAX_RULES = 10000, MAX_STARS = 4, MAX_NAME = VOLT_NAME_ROOM - 1 };

/* ---- the map ---- */

void volt_name_map_clear(volt_name_map *map)
{
    for (size_t i = 0; i < map->count; i++) {
        volt_free(map->rule[i].to);
        volt_free(map->rule[i].from);
    }
    volt_free(map->rule);
    *map = (volt_name_map){0};
}

volt_status volt_name_map_add(volt_name_map *map, const char *to, const char *from)
{
    volt_name_rule rule = {0};
    volt_status st;

    VOLT_TRY(st, done, volt_strdup(&rule.to, to));
    VOLT_TRY(st, done, volt_strdup(&rule.from, from));
    VOLT_TRY(st, done,
             volt_realloc(&map->rule, map->count * sizeof rule, (map->count + 1) * sizeof rule,
                          "a map of names"));
    map->rule[map->count++] = rule;
    rule = (volt_name_rule){0};
done:
    volt_free(rule.from);
    volt_free(rule.to);
    return st;
}

/* Stars that are whole parts between dots; -1 when one is not. Two at the end are one that
 * stands for all parts that are left: *rest. */
static int stars_of(const char *pattern, bool *rest)
{
    int count = 0;

    *rest = false;
    for (const char *at = strchr(pattern, '*'); at; at = strchr(at + 1, '*')) {
        if (at != pattern && at[-1] != '.')
            return -1;
        count++;
        if (strcmp(at, "**") == 0) {
            *rest = true;
            break;
        }
        if (at[1] && at[1] != '.')
            return -1;
    }
    return count;
}

static volt_status check_rule(const volt_json_at *at, const char *to, const char *from)
{
    bool rest_left, rest_right;
    const int left = stars_of(to, &rest_left), right = stars_of(from, &rest_right);

    if (strlen(to) < 1 || strlen(to) > MAX_NAME)
        return volt_json_fail(at, "has a name of %zu bytes; 1 to %d are expected", strlen(to),
                              MAX_NAME);
    if (left < 0 || right < 0 || left > MAX_STARS)
        return volt_json_fail(
            at, "has a star that is not a whole part between dots, or more than %d", MAX_STARS);
    if (from[0] == '=' && strcmp(from, "=0") != 0 && strcmp(from, "=1") != 0)
        return volt_json_fail(at, "is \"%s\"; =0 or =1 is expected", from);
    if (from[0] != '=' && rest_left != rest_right)
        return volt_json_fail(at, "has ** on one side only");
    if (from[0] != '=' && right != left)
        return volt_json_fail(at, "has %d star%s on one side and %d on the other", left,
                              volt_s(left), right);
    return VOLT_OK;
}

volt_status volt_name_map_read(volt_name_map *out, const char *path)
{
    volt_name_map map = {0};
    volt_json doc = {0};
    volt_json_at root, at;
    const char *to, *from;
    size_t count;
    volt_status st;

    VOLT_TRY(st, done, volt_json_load(&doc, path));
    root = volt_json_root(&doc);
    VOLT_TRY(st, done, volt_json_count(&count, &root));
    if (count > MAX_RULES) {
        st = volt_json_fail(&root, "has %zu rules; at most %d are read", count, MAX_RULES);
        goto done;
    }
    for (size_t i = 0; i < count; i++) {
        VOLT_TRY(st, done, volt_json_entry(&to, &at, &root, i));
        VOLT_TRY(st, done, volt_json_text(&from, &at, MAX_NAME));
        VOLT_TRY(st, done, check_rule(&at, to, from));
        VOLT_TRY(st, done, volt_name_map_add(&map, to, from));
    }
    *out = map;
    map = (volt_name_map){0};
done:
    volt_json_close(&doc);
    volt_name_map_clear(&map);
    return st;
}

/* The part of a name up to its next dot or end. */
static size_t part_length(const char *name)
{
    return strcspn(name, ".");
}

/* True when `name` fits `pattern`; the parts its stars stand for into `star`. */
static bool fits(const char *name, const char *pattern, const char *star[MAX_STARS],
                 size_t length[MAX_STARS])
{
    int stars = 0;

    while (*pattern && *name) {
        if (*pattern == '*') {
            const bool rest = pattern[1] == '*';
            star[stars] = name;
            length[stars] = rest ? strlen(name) : part_length(name);
            name += length[stars++];
            pattern += rest ? 2 : 1;
        } else if (*pattern++ != *name++) {
            return false;
        }
    }
    return !*pattern && !*name;
}

/* Puts the parts into the stars of `pattern`; false when the name gets too long. */
static bool substitute(char out[MAX_NAME + 1], const char *pattern,
                       const char *const star[MAX_STARS], const size_t length[MAX_STARS])
{
    size_t used = 0;
    int stars = 0;

    for (; *pattern; pattern++) {
        const bool wild = *pattern == '*';
        const char *from = wild ? star[stars] : pattern;
        const size_t bytes = wild ? length[stars] : 1;
        if (used + bytes > MAX_NAME)
            return false;
        if (bytes)
            memcpy(out + used, from, bytes);
        used += bytes;
        stars += wild;
        if (wild && pattern[1] == '*')
            break; /* the rest of the name */
    }
    out[used] = '\0';
    return true;
}

const char *volt_name_map_source(char room[VOLT_NAME_ROOM], const char *name,
                                 const volt_name_map *map)
{
    for (size_t i = 0; map && i < map->count; i++) {
        const char *star[MAX_STARS] = {0};
        size_t length[MAX_STARS] = {0};
        if (fits(name, map->rule[i].to, star, length) &&
            substitute(room, map->rule[i].from, star, length))
            return room;
    }
    return name;
}

/* ---- filling ---- */

/* "[32, 4, 3, 3, 3]" */
static const char *shown(char text[192], int rank, const int64_t *shape)
{
    size_t at = (size_t)snprintf(text, 192, "[");

    for (int i = 0; i < rank && at < 192; i++)
        at += (size_t)snprintf(text + at, 192 - at, "%s%" PRId64, i ? ", " : "", shape[i]);
    if (at < 192)
        snprintf(text + at, 192 - at, "]");
    return text;
}

/* The same extents, or those of a 2-D kernel for one voxel along d. */
static bool shape_fits(const volt_tensor_view *v, const volt_param *p)
{
    const size_t each = sizeof *p->dims;

    if (v->rank == p->ndim)
        return memcmp(v->shape, p->dims, (size_t)v->rank * each) == 0;
    return p->ndim == 5 && v->rank == 4 && p->dims[2] == 1 &&
           memcmp(v->shape, p->dims, 2 * each) == 0 &&
           memcmp(v->shape + 2, p->dims + 3, 2 * each) == 0;
}

/* The name that nnU-Net repeats as `name`: its modules stand in lists a second time. */
static bool first_name(char out[MAX_NAME + 1], const char *name)
{
    static const char *const parts[][2] = {{".all_modules.0.", ".conv."},
                                           {".all_modules.1.", ".norm."},
                                           {".all_modules.2.", ".norm."}};
    const bool twice = strncmp(name, "decoder.encoder.", 16) == 0;

    name += twice ? 8 : 0;
    for (int i = 0; i < 3; i++) {
        const char *at = strstr(name, parts[i][0]);
        if (at && strlen(name) <= MAX_NAME) {
            snprintf(out, MAX_NAME + 1, "%.*s%s%s", (int)(at - name), name, parts[i][1],
                     at + strlen(parts[i][0]));
            return true;
        }
    }
    snprintf(out, MAX_NAME + 1, "%s", name);
    return twice;
}

/* True when tensor `index` repeats one that was taken: the same memory, or nnU-Net's second
 * name for the same numbers. */
static bool repeats_taken(const volt_weights *w, size_t index, const bool *taken)
{
    char name[MAX_NAME + 1];
    const volt_tensor_view *v = volt_weights_view(w, index), *first;
    int64_t other;

    if (taken[volt_weights_alias(w, index)])
        return true;
    if (!first_name(name, volt_weights_name(w, index)))
        return false;
    other = volt_weights_find(w, name);
    if (other < 0 || !taken[volt_weights_alias(w, (size_t)other)])
        return false;
    first = volt_weights_view(w, (size_t)other);
    return v->type == first->type && v->bytes == first->bytes &&
           memcmp(v->data, first->data, v->bytes) == 0;
}

static volt_status report_rest(volt_weights_report *report, const volt_weights *w,
                               const bool *taken)
{
    const size_t count = volt_weights_count(w);
    volt_status st =
        volt_alloc_zero(&report->unused, count, sizeof *report->unused, "a list of weights");

    for (size_t i = 0; st == VOLT_OK && i < count; i++) {
        if (volt_weights_alias(w, i) == (int64_t)i && taken[i])
            continue;
        if (repeats_taken(w, i, taken))
            report->aliases++;
        else
            report->unused[report->unused_count++] = volt_weights_name(w, i);
    }
    return st;
}

void volt_weights_report_clear(volt_weights_report *report)
{
    volt_free((void *)(uintptr_t)report->unused);
    *report = (volt_weights_report){0};
}

/* What is wrong, of all parameters together. */
typedef struct misfits {
    int missing, shapes;
    char first[640]; /* what is wrong with the first of them */
} misfits;

static volt_status fill_one(float *flat, volt_weights_report *report, bool *taken,
                            misfits *wrong, const volt_weights *w, const volt_param *p,
                            const volt_name_map *map)
{
    char room[MAX_NAME + 1], found[192], expected[192];
    const char *from = volt_name_map_source(room, p->name, map);
    int64_t index;

    if (from[0] == '=') {
        for (int64_t i = 0; i < p->count; i++)
            flat[p->offset + i] = (float)(from[1] - '0');
        report->filled++;
        return VOLT_OK;
    }
    index = volt_weights_find(w, from);
    if (index < 0) {
        if (!wrong->missing++ && !wrong->shapes)
            snprintf(wrong->first, sizeof wrong->first, "it has no tensor %.200s%s%.200s", from,
                     from == p->name ? "" : " for ", from == p->name ? "" : p->name);
        return VOLT_OK;
    }
    if (!shape_fits(volt_weights_view(w, (size_t)index), p)) {
        if (!wrong->shapes++ && !wrong->missing)
            snprintf(wrong->first, sizeof wrong->first,
                     "tensor %.200s has shape %s where the network has %s", from,
                     shown(found, volt_weights_view(w, (size_t)index)->rank,
                           volt_weights_view(w, (size_t)index)->shape),
                     shown(expected, p->ndim, p->dims));
        return VOLT_OK;
    }
    taken[volt_weights_alias(w, (size_t)index)] = true;
    report->taken++;
    return volt_weights_copy(flat + p->offset, w, (size_t)index, p->count);
}

volt_status volt_weights_fill(float *flat, volt_weights_report *report, const volt_weights *w,
                              const volt_graph *graph, const volt_name_map *map)
{
    const int params = volt_graph_param_count(graph);
    volt_weights_report r = {0};
    misfits wrong = {0};
    bool *taken = NULL;
    volt_status st;

    VOLT_TRY(
        st, done,
        volt_alloc_zero(&taken, volt_weights_count(w), sizeof *taken, "a list of weights"));
    for (int i = 0; i < params; i++)
        VOLT_TRY(st, done,
                 fill_one(flat, &r, taken, &wrong, w, volt_graph_param(graph, i), map));
    if (wrong.missing || wrong.shapes) {
        st = volt_fail(VOLT_EFORMAT,
                       "%s does not fit the network: %s (parameters: %d in the network, %d "
                       "missing, %d of another shape)",
                       volt_weights_path(w), wrong.first, params, wrong.missing, wrong.shapes);
        goto done;
    }
    VOLT_TRY(st, done, report_rest(&r, w, taken));
    *report = r;
    r = (volt_weights_report){0};
done:
    volt_weights_report_clear(&r);
    volt_free(taken);
    return st;
}
