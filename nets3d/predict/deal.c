#include "nets3d/predict/deal.h"

void volt_deal_rows(int64_t row[], const volt_tiles *t, volt_box source, int64_t together,
                    int ranks)
{
    int64_t first = t->per_axis[0], end = 0, groups;

    for (int64_t z = 0; z < t->per_axis[0] && !volt_box_is_empty(source); z++) {
        if (t->start[0][z] >= source.high[0] || t->start[0][z] + t->patch[0] <= source.low[0])
            continue;
        first = z < first ? z : first;
        end = z + 1;
    }
    first = first < end ? first : end;
    groups = (end - first + together - 1) / together;
    for (int r = 0; r <= ranks; r++) {
        const int64_t z = first + groups * r / ranks * together;
        row[r] = z < end ? z : end;
    }
}

volt_box volt_deal_rows_box(const volt_tiles *t, const int64_t shape[3], int64_t first,
                            int64_t end)
{
    volt_box box = volt_box_of_shape(shape);

    if (first >= end)
        return (volt_box){{0, 0, 0}, {0, 0, 0}};
    box.low[0] = t->start[0][first];
    box.high[0] = t->start[0][end - 1] + t->patch[0];
    return volt_box_intersect(box, volt_box_of_shape(shape));
}

void volt_deal_slices(int64_t cut[], const volt_box have[], int64_t slices, int ranks)
{
    int last = -1; /* rank before that has something */

    for (int r = 0; r < ranks; r++) {
        int64_t at = 0;
        if (volt_box_is_empty(have[r]))
            continue;
        if (last >= 0)
            at = (have[last].high[0] + have[r].low[0]) / 2;
        while (last < r)
            cut[++last] = at;
    }
    while (last < ranks)
        cut[++last] = slices;
}

/* Ranks first <= r < end have the same slices: each gets some of them. */
static void share(int64_t cut[], int64_t low, int64_t high, int first, int end)
{
    for (int r = first; r < end; r++)
        cut[r] = low + (high - low) * (r - first) / (end - first);
}

void volt_deal_boxes(int64_t cut[], const volt_box have[], int64_t slices, int ranks)
{
    int64_t reached = 0;

    for (int r = 0, end; r < ranks; r = end) {
        int64_t high = have[r].high[0];
        for (end = r; end < ranks && have[end].low[0] == have[r].low[0]; end++)
            high = have[end].high[0] > high ? have[end].high[0] : high;
        high = high < reached ? reached : high > slices || end == ranks ? slices : high;
        share(cut, reached, high, r, end);
        reached = high;
    }
    cut[ranks] = slices;
}

void volt_deal_result(int64_t first[], const int64_t cut[], int64_t slices, int64_t to,
                      volt_box part, int ranks)
{
    const int64_t low = part.low[0], high = volt_box_is_empty(part) ? low : part.high[0];

    for (int r = 0; r <= ranks; r++) {
        int64_t z = cut[r] * to / slices;
        z = z < low || r == 0 ? low : z;
        first[r] = z > high || r == ranks ? high : z;
    }
}

volt_box volt_deal_mirrored(volt_box box, const int64_t start[3], const int64_t patch[3],
                            const bool flip[3])
{
    volt_box out = box;

    for (int a = 0; a < 3; a++) {
        if (!flip[a])
            continue;
        out.low[a] = 2 * start[a] + patch[a] - box.high[a];
        out.high[a] = 2 * start[a] + patch[a] - box.low[a];
    }
    return out;
}
