/* Photographs whose channels are not those of the data set. */
#include "tests/kit/test.h"

#include <stdio.h>
#include <string.h>

#include "base/system/file.h"
#include "io/dataset.h"
#include "io/png.h"

enum { WIDTH = 9, HEIGHT = 8 };

/* A picture whose last channel of 2 or 4 is `alpha`. */
static void write_picture(const char *path, int channels, int alpha)
{
    uint8_t pixels[4 * WIDTH * HEIGHT];

    for (int i = 0; i < channels * WIDTH * HEIGHT; i++)
        pixels[i] = (uint8_t)((channels == 4 && i % 4 == 3) ? alpha : i * 7 % 251);
    assert_ok(volt_png_write(path, pixels, WIDTH, HEIGHT, channels));
}

/* Two cases, CASE_0000.png of so many channels; the data set names `names` of them. */
static volt_dataset *make_set(const char *folder, int channels, int alpha, int names)
{
    uint8_t labels[WIDTH * HEIGHT] = {[20] = 1};
    char path[80], json[400] = "{\"channel_names\": {";
    volt_dataset *ds = NULL;

    for (int c = 0; c < names; c++)
        snprintf(json + strlen(json), 40, "%s\"%d\": \"c%d\"", c ? ", " : "", c, c);
    strcat(json, "}, \"labels\": {\"background\": 0, \"a\": 1}, \"numTraining\": 2, "
                 "\"file_ending\": \".png\"}");
    snprintf(path, sizeof path, "%s/imagesTr", folder);
    assert_ok(volt_make_dirs(path));
    snprintf(path, sizeof path, "%s/labelsTr", folder);
    assert_ok(volt_make_dirs(path));
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/imagesTr/p%d_0000.png", folder, i);
        write_picture(path, channels, alpha);
        snprintf(path, sizeof path, "%s/labelsTr/p%d.png", folder, i);
        assert_ok(volt_png_write(path, labels, WIDTH, HEIGHT, 1));
    }
    snprintf(path, sizeof path, "%s/dataset.json", folder);
    assert_ok(volt_write_file(path, json, strlen(json)));
    assert_ok(volt_dataset_open(&ds, folder, NULL));
    return ds;
}

static void opaque_alpha_is_dropped(void **state)
{
    volt_dataset *ds = make_set("opaque", 4, 255, 3);
    volt_findings f = {0};
    volt_case_data d = {0};

    (void)state;
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors, 0);
    assert_int_equal(f.warnings, 2);
    assert_non_null(strstr(f.item[0].sentence, "opaque/imagesTr/p0_0000.png"));
    assert_non_null(strstr(f.item[0].sentence, "alpha"));
    assert_ok(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1));
    assert_int_equal(d.image->grid.channels, 3);
    assert_int_equal(d.header->warning_count, 1);
    volt_case_data_clear(&d);
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void other_channels_are_named(void **state)
{
    static const struct {
        const char *folder;
        int channels, alpha, names;
        const char *words, *expected, *read;
    } sets[] = {
        {"half", 4, 128, 3, "has 4 channels (red, green, blue, alpha, which is not opaque); ",
         "the data set has 3", "3 are expected"},
        {"more", 4, 255, 2, "has 4 channels (red, green, blue, alpha); ", "the data set has 2",
         "2 are expected"},
        {"rgb", 3, 0, 1, "has 3 channels (red, green, blue); ", "the data set has 1",
         "1 is expected"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        volt_dataset *ds =
            make_set(sets[i].folder, sets[i].channels, sets[i].alpha, sets[i].names);
        volt_findings f = {0};
        volt_case_data d = {0};
        assert_ok(volt_dataset_check(&f, ds, 1, NULL));
        assert_int_equal(f.errors, 2); /* nothing about p0_0001.png */
        if (!strstr(f.item[0].sentence, sets[i].words))
            fail_msg("'%s' lacks '%s'", f.item[0].sentence, sets[i].words);
        assert_non_null(strstr(f.item[0].sentence, sets[i].expected));
        assert_fails(volt_case_read(&d, &ds->cases.item[0], &ds->info, 1), VOLT_EDATA,
                     sets[i].words);
        assert_non_null(strstr(volt_last_error(), sets[i].read));
        volt_findings_clear(&f);
        volt_dataset_close(ds);
    }
}

static void alpha_can_be_a_channel(void **state)
{
    volt_dataset *ds = make_set("four", 4, 255, 4);
    volt_findings f = {0};

    (void)state;
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors + f.warnings, 0);
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void damaged_first_pictures_are_reported(void **state)
{
    volt_dataset *ds = make_set("damaged", 3, 0, 3);
    volt_findings f = {0};

    (void)state;
    volt_dataset_close(ds);
    assert_ok(volt_write_file("damaged/imagesTr/p0_0000.png", "no picture", 10));
    assert_ok(volt_dataset_open(&ds, "damaged", NULL));
    assert_ok(volt_dataset_check(&f, ds, 1, NULL));
    assert_int_equal(f.errors, 1);
    assert_non_null(strstr(f.item[0].sentence, "p0_0000.png is not a PNG image"));
    volt_findings_clear(&f);
    volt_dataset_close(ds);
}

static void inputs_have_the_network_s_channels(void **state)
{
    const char *inputs[] = {"inputs/imagesTr"};
    volt_dataset *ds = make_set("inputs", 4, 255, 3);
    volt_case_list list = {0};

    (void)state;
    volt_dataset_close(ds);
    assert_ok(volt_inputs_list(&list, inputs, 1, 3, NULL));
    assert_int_equal(list.count, 2);
    volt_case_list_clear(&list);
    assert_fails(volt_inputs_list(&list, inputs, 1, 2, NULL), VOLT_EDATA,
                 "has 4 channels (red, green, blue, alpha); the network takes 2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(opaque_alpha_is_dropped),
        cmocka_unit_test(other_channels_are_named),
        cmocka_unit_test(alpha_can_be_a_channel),
        cmocka_unit_test(damaged_first_pictures_are_reported),
        cmocka_unit_test(inputs_have_the_network_s_channels),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
