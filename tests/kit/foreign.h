/* foreign.h - comparison of imported runs with the programs they come from. */
#ifndef VOLT_TESTS_FOREIGN_H
#define VOLT_TESTS_FOREIGN_H
#include "tests/kit/test.h"
#include <stdio.h>
#include "base/system/file.h"
#include "base/mem.h"
#include "io/image/nifti.h"
#include "io/tensors/safetensors.h"
#include "io/archive/zip.h"
#include "nets3d/run/checkpoint.h"
#include "nets3d/plan.h"
#include "nets3d/predictor.h"
#include "nets3d/program.h"
#include "nets3d/run/state.h"

/* Removes a folder, if it exists, and all that it holds. */
void remove_tree(const char *folder);

/* Compares OUR softmax, one file per class, with nnU-Net's (float32 sums, rounded to float16 on
 * disk): within 2e-3 everywhere. */
void compare_softmax(const char *folder, const char *id, const char *npz_path);

/* Compares OUR mask with nnU-Net's: the same grid, and the same voxels except for 2e-4 of them,
 * which are near-ties in its softmax. Not counted are voxels where nnU-Net's mask is not the
 * arg-max of its own softmax: there its float16 sums decided (single tiles with tiny weights,
 * in corners).
 */
void compare_masks(const char *ours_path, const char *theirs_path, const char *softmax_path,
                   bool regions);

/* The scan of testdata/models/NAME through `run`, with and without mirroring. */
void predicts_as_nnunet(const char *run, const char *name);

/* The network of `run` on patch "x" of a safetensors file gives its "logits" within `bound`. */
void network_computes(const char *run, const char *path, double bound);

#endif
