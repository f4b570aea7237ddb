/* measure.h - the most memory held during a part of a test. */
#ifndef VOLT_TESTS_KIT_MEASURE_H
#define VOLT_TESTS_KIT_MEASURE_H
#include <stddef.h>

/* Measures from here on, what is held already included. */
void measure_start(void);
/* Most bytes held at once since measure_start(). */
size_t measure_peak(void);

#endif
