#include "tests/kit/test.h"
#include "show/pictures/draw.h"
#include "show/pictures/text.h"

static const volt_color black = {0, 0, 0}, white = {255, 255, 255};

/* The columns and rows that hold ink; false without any. Counts full and partial pixels. */
static bool ink(const volt_picture *p, int64_t box[4], int64_t *full, int64_t *partial)
{
    box[0] = p->width;
    box[1] = p->height;
    box[2] = box[3] = -1;
    *full = *partial = 0;
    for (int64_t i = 0; i < p->width * p->height; i++) {
        const int64_t x = i % p->width, y = i / p->width;

        if (p->rgb[3 * i] == 0)
            continue;
        *full += p->rgb[3 * i] == 255;
        *partial += p->rgb[3 * i] < 255;
        box[0] = x < box[0] ? x : box[0];
        box[1] = y < box[1] ? y : box[1];
        box[2] = x > box[2] ? x : box[2];
        box[3] = y > box[3] ? y : box[3];
    }
    return box[2] >= 0;
}

/* Edges are shades between the colours, capitals stand on the line, widths hold the ink. */
static void text_is_smooth_and_as_wide_as_measured(void **state)
{
    static const char *const texts[] = {"OVHx", "FLAIR", "Dice 0.873",
                                        "\xc3\xa4\xce\xb1\xd0\x96", "12.3 mm\xc2\xb2"};
    volt_picture *p;
    int64_t box[4], full, partial;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (double size = 11; size <= 40; size += 7.5) {
            const double width = volt_text_width(texts[i], size);

            assert_ok(volt_picture_create(&p, 600, 80, black));
            volt_picture_text(p, 10, 20, size, white, texts[i]);
            assert_true(ink(p, box, &full, &partial));
            assert_true(partial > 20 && (full > 0 || size < 18));
            assert_true((double)box[0] >= 8 && (double)box[2] <= 11 + width);
            assert_true((double)box[2] > 10 + 0.8 * width);
            assert_true((double)box[1] >= 20 - 0.3 * size &&
                        (double)box[3] <= 21 + size * (VOLT_TEXT_CAPITAL + VOLT_TEXT_DEPTH));
            volt_picture_free(p);
        }
    }
    assert_true(volt_text_width("", 14) == 0);
    assert_true(volt_text_width("ab", 14) > volt_text_width("a", 14));
}

/* Control characters, broken UTF-8 and characters without a glyph are boxes; nothing is drawn
 * outside the picture. */
static void hostile_text_is_drawn_as_boxes(void **state)
{
    static const struct {
        const char *text;
        unsigned code;
        int bytes;
    } rows[] = {
        {"a", 'a', 1},
        {"\x01", 0xfffd, 1},
        {"\x1b[31m", 0xfffd, 1},
        {"\x7f", 0xfffd, 1},
        {"\xff", 0xfffd, 1},
        {"\xc3", 0xfffd, 1},
        {"\xc3\xa4", 0xe4, 2},
        {"\xc0\xaf", 0xfffd, 1},
        {"\xe0\x80\xaf", 0xfffd, 3},
        {"\xed\xa0\x80", 0xfffd, 3},
        {"\xf4\x90\x80\x80", 0xfffd, 4},
        {"\xf0\x9f\xa7\xa0", 0x1f9e0, 4},
        {"\xe2\x82", 0xfffd, 2},
    };
    volt_picture *p;
    int64_t box[4], full, partial;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *next = rows[i].text;

        assert_int_equal(volt_text_next(&next), rows[i].code);
        assert_int_equal(next - rows[i].text, rows[i].bytes);
    }
    assert_ok(volt_picture_create(&p, 60, 40, black));
    volt_picture_text(p, 5, 10, 20, white, "\x01");
    assert_true(ink(p, box, &full, &partial));
    assert_true(full > 30 && partial == 0); /* four straight lines */
    volt_picture_text(p, -100, 38, 60, white, "outside");
    volt_picture_text(p, 1e6, -1e6, 20, white, "outside");
    volt_picture_free(p);
}

static void lines_break_between_words(void **state)
{
    const char *text = "left hippocampus/anterior, and more";
    const size_t words = volt_text_fit(text, 14, volt_text_width("left hippoc", 14));
    const char *whole = "\xc3\xa4\xc3\xa4\xc3\xa4\xc3\xa4";

    (void)state;
    assert_int_equal(volt_text_fit(text, 14, 1e6), strlen(text));
    assert_int_equal(words, strlen("left "));
    assert_int_equal(volt_text_fit(whole, 14, 1), 2); /* at least one character, all of it */
    assert_int_equal(volt_text_fit(whole, 14, 2.5 * volt_text_width("\xc3\xa4", 14)), 4);
    assert_int_equal(volt_text_fit("", 14, 10), 0);
}

/* The font has Latin, Greek and Cyrillic, but no Chinese letters. */
static void readable_text_has_a_letter_of_the_font(void **state)
{
    (void)state;
    assert_true(volt_text_readable("edema"));
    assert_true(volt_text_readable("\xd0\x9e\xd0\xbf")); /* Cyrillic */
    assert_true(volt_text_readable("\xe8\x82\x9d liver"));
    assert_false(volt_text_readable("\xe8\x82\x9d\xe8\x87\x93"));
    assert_false(volt_text_readable("  \t\xff"));
    assert_false(volt_text_readable(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_is_smooth_and_as_wide_as_measured),
        cmocka_unit_test(hostile_text_is_drawn_as_boxes),
        cmocka_unit_test(lines_break_between_words),
        cmocka_unit_test(readable_text_has_a_letter_of_the_font),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
