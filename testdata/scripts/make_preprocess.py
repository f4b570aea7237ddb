#!/usr/bin/env python3
"""What nnU-Net's own DefaultPreprocessor makes of a made-up scan: testdata/preprocess/.

usage: make_preprocess.py OUT     (needs nnunetv2 2.8.1 with batchgenerators 0.25.5)

plans.json and dataset.json; image.npy (int16, c z y x), labels.npy (uint8) and spacing in
cases.json of one scan; per configuration NAME_image.npy (float32) and NAME_labels.npy (int8),
and in cases.json the crop box, the shape before it (transposed axes), and of every foreground
class how many locations nnU-Net draws with their sum and sum of squares, as voxel numbers.
"locations": the same of classes that are drawn from, by _sample_foreground_locations alone; the
labels are those of large() here and of tests/nets3d/data/test_preprocess.c.
"""
import json
import os
import sys

import numpy as np
from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

SPACING = [0.9, 3.8, 1.2]  # z, y, x of the file; y is the coarsest
CHANNELS = ["T2", "CT", "rescale_to_0_1", "rgb_to_0_1", "noNorm"]
LABELS = {"background": 0, "organ": 1, "lesion": 2, "ignore": 3}


def scan():
    rng = np.random.default_rng(11)
    shape = (26, 9, 22)
    z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    body = ((z - 13) / 10.5) ** 2 + ((y - 4) / 4.2) ** 2 + ((x - 10) / 9.0) ** 2 < 1
    image = np.stack([300 + 90 * np.sin(z * 0.6) * np.cos(x * 0.4) + rng.normal(0, 25, shape),
                      40 + 12 * (y - 4) + rng.normal(0, 60, shape),
                      rng.normal(-500, 300, shape) + 30 * z,
                      np.clip(rng.normal(120, 50, shape), 0, 255),
                      rng.normal(0, 5, shape)])
    image = np.rint(image).astype(np.int16) * body
    image[:, 12:15, 4, 9:11] = 0  # a hole
    labels = np.zeros(shape, np.uint8)
    labels[(z - 13) ** 2 + 5 * (y - 4) ** 2 + (x - 10) ** 2 < 45] = 1
    labels[(z - 15) ** 2 + 5 * (y - 4) ** 2 + (x - 11) ** 2 < 12] = 2
    labels[20:23, 4:6, 8:13] = 3
    labels[2, 4, 1] = 1  # outside the body
    return image, labels


def configuration(name, spacing, mask):
    axes = len(spacing)
    order = {"is_seg": False, "order": 3, "order_z": 0, "force_separate_z": None}
    return {
        "data_identifier": "nnUNetPlans_" + name, "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2, "patch_size": [16] * axes,
        "median_image_size_in_voxels": [20.0] * axes, "spacing": spacing,
        "normalization_schemes": ["ZScoreNormalization", "CTNormalization",
                                  "RescaleTo01Normalization", "RGBTo01Normalization",
                                  "NoNormalization"],
        "use_mask_for_norm": [mask, False, False, False, False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_seg": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": order,
        "resampling_fn_seg_kwargs": {**order, "is_seg": True, "order": 1},
        "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
        "resampling_fn_probabilities_kwargs": {**order, "order": 1},
        "architecture": {
            "network_class_name": "dynamic_network_architectures.architectures.unet.PlainConvUNet",
            "arch_kwargs": {
                "n_stages": 2, "features_per_stage": [4, 8],
                "conv_op": f"torch.nn.modules.conv.Conv{axes}d",
                "kernel_sizes": [[3] * axes] * 2, "strides": [[1] * axes, [2] * axes],
                "n_conv_per_stage": [1, 1], "n_conv_per_stage_decoder": [1], "conv_bias": True,
                "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{axes}d",
                "norm_op_kwargs": {"eps": 1e-05, "affine": True}, "dropout_op": None,
                "dropout_op_kwargs": None, "nonlin": "torch.nn.LeakyReLU",
                "nonlin_kwargs": {"inplace": True}},
            "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"]},
        "batch_dice": False}


def located(places, shape):
    """Count, sum and sum of squares of voxel numbers, which only the same voxels have."""
    at = [int((z * shape[1] + y) * shape[2] + x) for z, y, x in np.asarray(places)[:, -3:].tolist()]
    return [len(at), sum(at), sum(a * a for a in at)]


def large():
    """Three classes of very different sizes, the largest with more than a million voxels."""
    i = np.arange(110 * 120 * 130).reshape(110, 120, 130)
    return np.where(i % 211 == 0, 2, np.where(i % 70001 == 0, 3, np.where(i % 7 < 5, 1, 0)))


def main():
    out = sys.argv[1]
    stats = {"max": 900.0, "mean": 35.5, "median": 33.0, "min": -900.0,
             "percentile_00_5": -90.0, "percentile_99_5": 160.0, "std": 58.25}
    plans = {
        "dataset_name": "Dataset900_MadeUp", "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [3.8, 0.9, 1.2],
        "original_median_shape_after_transp": [9, 26, 22], "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [1, 0, 2], "transpose_backward": [1, 0, 2],
        "configurations": {
            "2d": configuration("2d", [1.3, 0.8], True),
            "3d_lowres": configuration("3d_lowres", [4.0, 2.1, 2.0], True),  # joint
            "3d_fullres": configuration("3d_fullres", [5.1, 1.1, 1.0], False),  # separate
            "same": configuration("same", [3.8, 0.9, 1.2], True)},
        "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(i): stats for i in range(5)}}
    dataset = {"channel_names": {str(i): n for i, n in enumerate(CHANNELS)}, "labels": LABELS,
               "numTraining": 1, "file_ending": ".nii.gz"}
    image, labels = scan()
    cases = {"spacing": SPACING}
    np.save(os.path.join(out, "image.npy"), image)
    np.save(os.path.join(out, "labels.npy"), labels)
    manager = PlansManager(json.loads(json.dumps(plans)))
    for name in plans["configurations"]:
        data, seg, p = DefaultPreprocessor(verbose=False).run_case_npy(
            image, labels[None].astype(np.int16), {"spacing": SPACING}, manager,
            manager.get_configuration(name), dataset)
        np.save(os.path.join(out, name + "_image.npy"), data.astype(np.float32))
        np.save(os.path.join(out, name + "_labels.npy"), seg[0].astype(np.int8))
        cases[name] = {"box": [list(map(int, b)) for b in p["bbox_used_for_cropping"]],
                       "shape_before_crop": list(map(int, p["shape_before_cropping"])),
                       "locations": {str(k): located(v, seg.shape[1:])
                                     for k, v in p["class_locations"].items()
                                     if not isinstance(k, tuple)}}
    labels = large()
    places = DefaultPreprocessor._sample_foreground_locations(labels[None].astype(np.int16),
                                                              [1, 2, 3])
    cases["locations"] = {str(k): located(v, labels.shape) for k, v in places.items()}
    for name, content in (("plans", plans), ("dataset", dataset), ("cases", cases)):
        with open(os.path.join(out, name + ".json"), "w") as f:
            json.dump(content, f, indent=1)
            f.write("\n")


if __name__ == "__main__":
    main()
