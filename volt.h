/* volt.h - every public header of VOLT, the VOLumetric Toolkit.
 *
 * Shapes     volumes are (C, Z, Y, X), X fastest; tensors (n, c, d, h, w). Lengths are mm or
 *            voxels, sizes bytes, and each declaration says which.
 * Errors     fallible calls return volt_status; the calling thread's volt_last_error() then
 *            holds one sentence. Outputs change only on success.
 * Ownership  what a call returns through a double pointer belongs to the caller, who frees it
 *            with the function that its comment names; returned pointers are borrowed.
 * Options    a struct NAME_options starts from NAME_defaults(), which sets its `size`.
 * Threads    each header states its rules.
 */
#ifndef VOLT_H
#define VOLT_H

/* version, status, memory, callbacks, threads, random numbers */
#include "base/callbacks.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/rng.h"
#include "base/status.h"
#include "base/threads.h"
#include "base/version.h"

/* voxels and millimetres */
#include "volume/augment.h"
#include "volume/box.h"
#include "volume/components.h"
#include "volume/confusion.h"
#include "volume/distance.h"
#include "volume/metrics.h"
#include "volume/normalize.h"
#include "volume/orient.h"
#include "volume/phantom.h"
#include "volume/resample.h"
#include "volume/resample_to_grid.h"
#include "volume/tiles.h"
#include "volume/volume.h"

/* files: images, data sets, preprocessed cases, scores */
#include "io/case_store.h"
#include "io/dataset.h"
#include "io/evaluate.h"
#include "io/figure.h"
#include "io/image.h"
#include "io/import_dataset.h"
#include "io/label_table.h"
#include "io/nnunet_summary.h"
#include "io/png.h"
#include "io/scores.h"
#include "io/workspace.h"

/* ranks: communicators, meshes, threads as ranks */
#include "parallel/comm.h"
#include "parallel/launcher.h"
#include "parallel/link.h"
#include "parallel/mesh.h"
#include "parallel/ranks.h"

/* networks: graphs, plans, training, prediction */
#include "nets3d/best.h"
#include "nets3d/cascade.h"
#include "nets3d/device.h"
#include "nets3d/ensemble.h"
#include "nets3d/export_model.h"
#include "nets3d/fingerprint.h"
#include "nets3d/graph.h"
#include "nets3d/import_model.h"
#include "nets3d/mesh_plan.h"
#include "nets3d/model.h"
#include "nets3d/optimizer.h"
#include "nets3d/pipeline.h"
#include "nets3d/plan.h"
#include "nets3d/postprocess.h"
#include "nets3d/precision.h"
#include "nets3d/predictor.h"
#include "nets3d/preprocess.h"
#include "nets3d/program.h"
#include "nets3d/recipe.h"
#include "nets3d/run.h"
#include "nets3d/run_curves.h"
#include "nets3d/splits.h"
#include "nets3d/trainer.h"
#include "nets3d/validation.h"

/* charts and pictures */
#include "show/chart.h"
#include "show/picture.h"
#include "show/render.h"
#include "show/run_chart.h"
#include "show/samples.h"
#include "show/svg.h"

#endif
