/* Meshes as text, and what to say about one that does not fit. */
#include "parallel/mesh.h"

#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/core/plural.h"

static const char *const axis_name[VOLT_MESH_AXES] = {"data", "z", "y", "x", "stage"};

int volt_mesh_ranks(const int size[VOLT_MESH_AXES])
{
    int ranks = 1;

    for (int a = 0; a < VOLT_MESH_AXES; a++) {
        if (__builtin_mul_overflow(ranks, size[a], &ranks))
            return 0;
    }
    return ranks;
}

const char *volt_mesh_text(char text[VOLT_MESH_TEXT], const int size[VOLT_MESH_AXES])
{
    int length = 0;

    for (int a = 0; a < VOLT_MESH_AXES; a++) {
        if (size[a] != 1)
            length += snprintf(text + length, (size_t)(VOLT_MESH_TEXT - length), "%s%s=%d",
                               length ? "," : "", axis_name[a], size[a]);
    }
    if (!length)
        snprintf(text, VOLT_MESH_TEXT, "data=1");
    return text;
}

/* ---- reading ---- */

#define SHOWN 40 /* characters of a wrong text that a message quotes */

static int shown(size_t length)
{
    return (int)(length < SHOWN ? length : SHOWN);
}

static volt_status read_axis(int *axis, const char *text, const char *item, size_t length)
{
    for (*axis = 0; *axis < VOLT_MESH_AXES; (*axis)++) {
        const char *name = axis_name[*axis];

        if (strlen(name) == length && memcmp(name, item, length) == 0)
            return VOLT_OK;
    }
    return volt_fail(VOLT_EINVAL,
                     "mesh '%.80s': '%.*s' is no axis; the axes are data, z, y, x and stage",
                     text, shown(length), item);
}

static volt_status read_count(int *out, const char *text, int axis, const char *item,
                              size_t length)
{
    int64_t n = 0;

    for (size_t i = 0; i < length; i++) {
        if (item[i] < '0' || item[i] > '9')
            return volt_fail(VOLT_EINVAL,
                             "mesh '%.80s': %s is '%.*s', expected an integer of 1 or more",
                             text, axis_name[axis], shown(length), item);
        n = n < INT_MAX ? 10 * n + (item[i] - '0') : n;
    }
    if (n > INT_MAX)
        return volt_fail(VOLT_EINVAL, "mesh '%.80s': %s is %.*s, which is too large", text,
                         axis_name[axis], shown(length), item);
    if (n < 1)
        return volt_fail(VOLT_EINVAL, "mesh '%.80s': %s is %s, expected 1 or more", text,
                         axis_name[axis], length ? "0" : "empty");
    *out = (int)n;
    return VOLT_OK;
}

static void trim(const char **at, size_t *length)
{
    while (*length && **at == ' ') {
        ++*at;
        --*length;
    }
    while (*length && (*at)[*length - 1] == ' ')
        --*length;
}

/* One "AXIS=N". */
static volt_status read_item(int size[VOLT_MESH_AXES], bool seen[VOLT_MESH_AXES],
                             const char *text, const char *item, size_t length)
{
    const char *sign = memchr(item, '=', length), *count = sign ? sign + 1 : NULL;
    size_t name = sign ? (size_t)(sign - item) : length;
    size_t digits = sign ? length - name - 1 : 0;
    int axis;
    volt_status st;

    trim(&item, &name);
    if (!name)
        return volt_fail(VOLT_EINVAL,
                         "mesh '%.80s': an axis is missing, expected e.g. data=2,z=2", text);
    VOLT_TRY(st, done, read_axis(&axis, text, item, name));
    if (!sign)
        return volt_fail(VOLT_EINVAL, "mesh '%.80s': %s has no number, expected e.g. %s=2",
                         text, axis_name[axis], axis_name[axis]);
    if (seen[axis])
        return volt_fail(VOLT_EINVAL, "mesh '%.80s' names %s twice", text, axis_name[axis]);
    seen[axis] = true;
    trim(&count, &digits);
    st = read_count(&size[axis], text, axis, count, digits);
done:
    return st;
}

/* ---- the nearest meshes ---- */

enum { NEAREST = 3 };

typedef struct nearest {
    const int *wanted;
    int size[NEAREST][VOLT_MESH_AXES];
    double distance[NEAREST];
    int count;
} nearest;

/* Factors between the numbers of ranks along each axis; an axis that nobody asked for counts
 * more, the later ones a little more yet. */
static double distance_of(const int size[VOLT_MESH_AXES], const int wanted[VOLT_MESH_AXES])
{
    double sum = 0;

    for (int a = 0; a < VOLT_MESH_AXES; a++) {
        sum += fabs(log2((double)size[a] / wanted[a]));
        if (size[a] > 1 && wanted[a] == 1)
            sum += a == VOLT_MESH_DATA ? 0.25 : 0.5 + 0.01 * a;
    }
    return sum;
}

static void consider(nearest *n, const int size[VOLT_MESH_AXES])
{
    const double distance = distance_of(size, n->wanted);
    int at = n->count;

    while (at > 0 && n->distance[at - 1] > distance)
        at--;
    if (at == NEAREST)
        return;
    n->count += n->count < NEAREST;
    for (int i = n->count - 1; i > at; i--) {
        memcpy(n->size[i], n->size[i - 1], sizeof n->size[i]);
        n->distance[i] = n->distance[i - 1];
    }
    memcpy(n->size[at], size, sizeof n->size[at]);
    n->distance[at] = distance;
}

/* All ways to give `ranks` ranks to the axes from `axis` on, most to the first ones first. */
static void search(nearest *n, int size[VOLT_MESH_AXES], int axis, int ranks)
{
    const bool last = axis == VOLT_MESH_STAGE || (axis == VOLT_MESH_X && n->wanted[4] == 1);

    for (int k = ranks; k >= 1 && !last; k--) {
        if (ranks % k)
            continue;
        size[axis] = k;
        search(n, size, axis + 1, ranks / k);
    }
    if (last) {
        size[axis] = ranks;
        consider(n, size);
    }
}

static volt_status fail_ranks(const char *text, const int size[VOLT_MESH_AXES], int ranks)
{
    int at[VOLT_MESH_AXES] = {1, 1, 1, 1, 1};
    const int have = volt_mesh_ranks(size);
    char list[NEAREST * (VOLT_MESH_TEXT + 8)], one[VOLT_MESH_TEXT];
    nearest n = {.wanted = size};
    int length = 0;

    search(&n, at, 0, ranks);
    for (int i = 0; i < n.count; i++)
        length += snprintf(list + length, sizeof list - (size_t)length, "%s%s",
                           i == 0             ? ""
                           : i == n.count - 1 ? " or "
                                              : ", ",
                           volt_mesh_text(one, n.size[i]));
    return volt_fail(VOLT_EINVAL,
                     "mesh '%.80s' has %d rank%s, but there %s %d; the nearest that %s %d: %s",
                     text, have, volt_s(have), ranks == 1 ? "is" : "are", ranks,
                     n.count == 1 ? "has" : "have", ranks, list);
}

volt_status volt_mesh_parse(int size[VOLT_MESH_AXES], const char *text, int ranks)
{
    int found[VOLT_MESH_AXES] = {1, 1, 1, 1, 1};
    bool seen[VOLT_MESH_AXES] = {false};
    const char *item = text, *end;
    volt_status st;

    do {
        end = item + strcspn(item, ",");
        VOLT_TRY(st, done, read_item(found, seen, text, item, (size_t)(end - item)));
        item = end + 1;
    } while (*end);
    if (!volt_mesh_ranks(found)) {
        st = volt_fail(VOLT_EINVAL, "mesh '%.80s' has too many ranks", text);
        goto done;
    }
    if (ranks && volt_mesh_ranks(found) != ranks) {
        st = fail_ranks(text, found, ranks);
        goto done;
    }
    memcpy(size, found, sizeof found);
done:
    return st;
}
