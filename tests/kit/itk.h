/* itk.h - what the tests of image formats share, with and without volt-itk. */
#ifndef VOLT_TESTS_KIT_ITK_H
#define VOLT_TESTS_KIT_ITK_H
#include "tests/kit/fixture.h"

#include "volume/volume.h"

/* Whether volt-itk was built; the library then uses that one. */
static inline bool has_helper(void)
{
#ifdef VOLT_TEST_ITK
    setenv("VOLT_ITK", VOLT_TEST_ITK, 1);
    return true;
#else
    return false;
#endif
}

/* A sum of float64 voxels that tells their order. */
static inline double weighted_sum(const volt_volume *v)
{
    const int64_t count = volt_grid_voxels(&v->grid) * v->grid.channels;
    const double *value = v->data;
    double sum = 0;

    for (int64_t i = 0; i < count; i++)
        sum += value[i] * (double)(i % 97 + 1);
    return sum;
}

#endif
