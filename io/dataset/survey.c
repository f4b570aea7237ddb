/* survey.c - the orientations of the cases. */
#include <stdio.h>
#include <string.h>

#include "base/core/alloc.h"
#include "base/system/tasks.h"
#include "io/dataset/layout.h"
#include "volume/orient.h"

enum { CODES = 48 }; /* 6 orders of the axes, 8 ways to flip them */

typedef struct survey {
    const volt_case_list *cases;
    char (*codes)[4]; /* of each case; "": unreadable */
} survey;

/* Unreadable files are left to the check. */
static volt_status look_at(void *context, int64_t index, int threads)
{
    survey *s = context;
    const volt_case *c = &s->cases->item[index];
    volt_image_header *header = NULL;
    volt_status st = VOLT_OK;

    (void)threads;
    if (c->files > 0)
        st = volt_image_info(&header, c->file[0]);
    if (header)
        volt_orientation_codes(s->codes[index], &header->grid);
    volt_image_header_free(header);
    return st == VOLT_ENOMEM ? st : VOLT_OK;
}

typedef struct tally {
    char codes[4];
    int64_t cases, first; /* index of the first case */
} tally;

/* Counts the orientations that occur; returns their number. */
static int count_kinds(tally kinds[CODES], const survey *s)
{
    int count = 0;

    for (int64_t i = 0; i < s->cases->count; i++) {
        int k = 0;
        if (!*s->codes[i])
            continue;
        while (k < count && strcmp(kinds[k].codes, s->codes[i]) != 0)
            k++;
        if (k == count) {
            memcpy(kinds[count].codes, s->codes[i], sizeof kinds[count].codes);
            kinds[count].cases = 0;
            kinds[count++].first = i;
        }
        kinds[k].cases++;
    }
    return count;
}

volt_status volt_orientation_survey(opening *o)
{
    survey s = {.cases = &o->ds->cases};
    const volt_tasks tasks = {
        .run = look_at, .context = &s, .count = s.cases->count, .threads = o->options->threads};
    tally kinds[CODES];
    char list[200] = "";
    int count, best = 0;
    volt_status st;

    VOLT_TRY(
        st, done,
        volt_alloc_zero(&s.codes, (size_t)s.cases->count, sizeof *s.codes, "orientations"));
    VOLT_TRY(st, done, volt_tasks_run(&tasks));
    count = count_kinds(kinds, &s);
    for (int k = 0; k < count; k++) {
        const size_t used = strlen(list);
        if (kinds[k].cases > kinds[best].cases)
            best = k;
        if (used < sizeof list - 64)
            snprintf(list + used, sizeof list - used, "%s%lld %.3s (%.24s)", k ? ", " : "",
                     (long long)kinds[k].cases, kinds[k].codes,
                     s.cases->item[kinds[k].first].id);
    }
    if (count < 2)
        goto done;
    memcpy(o->ds->info.orientation, kinds[best].codes, sizeof kinds[best].codes);
    st = volt_layout_note(
        o, "orientations differ: %s; cases are reoriented to %.3s for training, and masks back",
        list, kinds[best].codes);
done:
    volt_free(s.codes);
    return st;
}
