/* golden.h - files of an nnU-Net training on the hippocampus: a checkpoint, arrays in
 * numpy's zip.
 */
#ifndef VOLT_TESTS_GOLDEN_H
#define VOLT_TESTS_GOLDEN_H
#include "tests/kit/test.h"
#include <stdio.h>
#include "base/system/file.h"
#include "base/mem.h"
#include "io/archive/zip.h"
#include "nets3d/interop/weights.h"
#include "tests/kit/shared.h"

/* What has_shared() is asked for, and the folder. */
#define GOLDEN_SHARED "../peers/golden/hippocampus"
#define GOLDEN        VOLT_SHARED_DATA "/" GOLDEN_SHARED

/* The content of member `name` of the zip at `path`; owned. */
unsigned char *zip_member(const char *path, const char *name, size_t *bytes);

/* The weights of fold 0: 188 keys over 68 tensors. */
void golden_weights(float *flat, const volt_graph *g);

#endif
