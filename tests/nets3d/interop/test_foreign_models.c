/* Small models of nnU-Net of every kind (testdata/scripts/make_models.py), imported and applied
 * to nnU-Net's own scans: masks and softmax as nnU-Net's, with and without mirroring. */
#include "base/core/alloc.h"
#include "tests/kit/test.h"

#include "nets3d/import_model.h"
#include "tests/kit/foreign.h"

#define RUN "foreign-run"

static void imported(const char *name)
{
    char *source = NULL;

    remove_tree(RUN);
    assert_ok(volt_format(&source, VOLT_TESTDATA "/models/%s/model", name));
    assert_ok(volt_import_model(source, RUN, NULL, NULL, NULL));
    predicts_as_nnunet(RUN, name);
    volt_free(source);
    remove_tree(RUN);
}

#define MODEL(name)                                                                            \
    static void name(void **state)                                                             \
    {                                                                                          \
        (void)state;                                                                           \
        imported(#name);                                                                       \
    }

MODEL(resampled)   /* another spacing along each axis */
MODEL(anisotropic) /* slices five times as far apart as pixels: apart in resampling */
MODEL(transposed)  /* the coarse axis of the files is x */
MODEL(cropped)     /* zeros around, two channels, one normalized inside the mask */
MODEL(lowres)      /* 3d_lowres: half the resolution, CT */
MODEL(flat)        /* 2d */
MODEL(oblique)     /* a scan that lies askew */
MODEL(residual)    /* residual encoder */
MODEL(regions)     /* sigmoids of overlapping regions */
MODEL(folds)       /* the mean of two networks */

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(resampled),  cmocka_unit_test(anisotropic),
        cmocka_unit_test(transposed), cmocka_unit_test(cropped),
        cmocka_unit_test(lowres),     cmocka_unit_test(flat),
        cmocka_unit_test(oblique),    cmocka_unit_test(residual),
        cmocka_unit_test(regions),    cmocka_unit_test(folds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
