#!/usr/bin/env python3
"""What nnU-Net's planners make of made-up fingerprints: testdata/plans/NAME.json.

usage: make_plans.py OUT     (needs nnunetv2 2.8.1)

Each file holds {"dataset": dataset.json, "fingerprint": dataset_fingerprint.json, "plans":
{planner: its plans}}, with the planners named as `volt plan --planner` names them. Networks are
built on torch's meta device: their sizes count, not their weights.
"""
import json
import os
import sys
import tempfile

import numpy as np

os.environ["nnUNet_n_proc_DA"] = "2"
work = tempfile.mkdtemp()
for folder in ("raw", "preprocessed", "results"):
    os.environ["nnUNet_" + folder] = os.path.join(work, folder)

import torch  # noqa: E402
from nnunetv2.experiment_planning.experiment_planners import default_experiment_planner  # noqa: E402
from nnunetv2.experiment_planning.experiment_planners.default_experiment_planner import (  # noqa: E402
    ExperimentPlanner)
from nnunetv2.experiment_planning.experiment_planners.residual_unets import (  # noqa: E402
    residual_encoder_unet_planners as resenc)
from nnunetv2.imageio.reader_writer_registry import (  # noqa: E402
    determine_reader_writer_from_dataset_json)

PLANNERS = {"default": ExperimentPlanner, "resenc-m": resenc.nnUNetPlannerResEncM,
            "resenc-l": resenc.nnUNetPlannerResEncL, "resenc-xl": resenc.nnUNetPlannerResEncXL}


def fingerprint(rng, cases, spacing, shape, spread, channels, relative=1.0):
    """Cases around a median spacing (mm) and shape (voxels), axes z, y, x."""
    s = [[float(round(v * rng.uniform(1 - spread, 1 + spread), 4)) for v in spacing]
         for _ in range(cases)]
    n = [[int(max(1, round(v * rng.uniform(1 - spread, 1 + spread)))) for v in shape]
         for _ in range(cases)]
    keys = ("max", "mean", "median", "min", "percentile_00_5", "percentile_99_5", "std")
    values = (300.0, 100.5, 99.0, -1000.0, -17.0, 201.0, 39.36)
    return {"foreground_intensity_properties_per_channel":
            {str(c): dict(zip(keys, values)) for c in range(channels)},
            "median_relative_size_after_cropping": relative,
            "shapes_after_crop": n, "spacings": s}


def dataset(names, labels, cases, ending=".nii.gz", order=None):
    d = {"channel_names": {str(i): n for i, n in enumerate(names)}, "labels": labels,
         "numTraining": cases, "file_ending": ending}
    if order:
        d["regions_class_order"] = order
    return d


def examples():
    rng = np.random.default_rng(5)
    two = {"background": 0, "liver": 1, "tumour": 2}
    brats = {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "enhancing": 3}
    mri = ["T1", "T1ce", "T2", "FLAIR"]
    return {
        # low resolution and cascade
        "ct": (dataset(["CT"], two, 13),
               fingerprint(rng, 13, (1.0, 0.77, 0.77), (480, 512, 512), 0.25, 1)),
        # the coarsest axis is not the first: transposed; few thick slices
        "thick": (dataset(["T2", "noNorm", "ADC"], {"background": 0, "PZ": 1, "TZ": 2}, 9,
                          ".nii"),
                  fingerprint(rng, 9, (0.62, 3.6, 0.62), (320, 20, 320), 0.1, 3)),
        "regions": (dataset(mri, brats, 40, order=[1, 2, 3]),
                    fingerprint(rng, 40, (1, 1, 1), (138, 169, 138), 0.08, 4, 0.35)),
        # an ignore label counts in the estimate, an even number of cases, half medians
        "ignore": (dataset(["CT", "rescale_to_0_1"],
                           {"background": 0, "a": 1, "b": 2, "ignore": 3}, 6),
                   fingerprint(rng, 6, (2.5, 1.1, 0.9), (61, 143, 210), 0.3, 2, 0.74)),
        "small": (dataset(["MRI"], {"background": 0, "Anterior": 1}, 7),
                  fingerprint(rng, 7, (1, 1, 1), (20, 33, 11), 0.2, 1)),
        # two-dimensional images
        "flat": (dataset(["zscore", "rgb_to_0_1"], {"background": 0, "cell": 1}, 8),
                 fingerprint(rng, 8, (999, 1, 1), (1, 512, 700), 0, 2)),
        # very anisotropic, the worst axis below the others at its 10th percentile
        "acdc": (dataset(["cineMRI"], {"background": 0, "RV": 1, "MLV": 2, "LV": 3}, 12),
                 fingerprint(rng, 12, (10, 1.5, 1.5), (9, 220, 250), 0.45, 1)),
    }


def main():
    meta = default_experiment_planner.get_network_from_plans

    def on_meta(*args, **kwargs):
        with torch.device("meta"):
            return meta(*args, **kwargs)

    default_experiment_planner.get_network_from_plans = on_meta
    ExperimentPlanner.determine_reader_writer = lambda self: \
        determine_reader_writer_from_dataset_json(self.dataset_json, None, verbose=False)
    for i, (name, (ds, fp)) in enumerate(examples().items()):
        full = f"Dataset{i + 1:03d}_{name}"
        for folder in ("raw", "preprocessed"):
            os.makedirs(os.path.join(work, folder, full, "imagesTr"), exist_ok=True)
        json.dump(ds, open(os.path.join(work, "raw", full, "dataset.json"), "w"))
        json.dump(fp, open(os.path.join(work, "preprocessed", full,
                                        "dataset_fingerprint.json"), "w"))
        plans = {}
        for key, planner in PLANNERS.items():
            p = planner(full)
            p.plan_experiment()
            plans[key] = json.load(open(os.path.join(work, "preprocessed", full,
                                                     p.plans_identifier + ".json")))
        with open(os.path.join(sys.argv[1], name + ".json"), "w") as f:
            json.dump({"dataset": ds, "fingerprint": fp, "plans": plans}, f,
                      separators=(",", ":"))
            f.write("\n")


if __name__ == "__main__":
    main()
