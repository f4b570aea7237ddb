"""Makes testdata/best: cross-validation predictions of two small models and what nnU-Net v2's
find_best_configuration, ensembling and post-processing make of them.

usage: make_best.py OUT (with nnunetv2 2.8.1, SimpleITK, numpy)

OUT/KIND (labels, regions)
    truth/CASE.nii.gz
    MODEL/fold_K/validation/CASE.nii.gz, CASE.npz; MODEL/dataset.json
    expected/ensemble/CASE.nii.gz      masks of the ensemble of both models
    expected/postprocessed/CASE.nii.gz masks of the winner after post-processing
    expected/postprocessing.json       of the winner, as nnU-Net wrote it
    expected/scores.txt                "NAME score" of every candidate, the winner's name first
"""
import json
import os
import shutil
import sys
import tempfile

import numpy as np
import SimpleITK as sitk

FOLDS = (0, 1)
CASES = 6
SHAPE = (10, 14, 12)
MODELS = ("2d", "3d_fullres")
KINDS = {
    "labels": {"labels": {"background": 0, "first": 1, "second": 2, "third": 3}},
    "regions": {"labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "inner": 3},
                "regions_class_order": [1, 2, 3]},
}


def truth_of(rng):
    """Nested boxes somewhere: label 1 around 2 around 3."""
    seg = np.zeros(SHAPE, np.uint8)
    low = rng.integers(1, 3, 3)
    for label, margin in ((1, 0), (2, 1), (3, 2)):
        a = low + margin
        b = np.minimum(np.array([8, 11, 10]) - margin, SHAPE)
        seg[a[0]:b[0], a[1]:b[1], a[2]:b[2]] = label
    return seg


def spots(rng, count, size):
    """Some stray boxes."""
    mask = np.zeros(SHAPE, bool)
    for _ in range(count):
        at = [rng.integers(0, n - size + 1) for n in SHAPE]
        mask[at[0]:at[0] + size, at[1]:at[1] + size, at[2]:at[2] + size] = True
    return mask


def scores_of(seg, rng, model):
    """One score per label: the truth, noise, and the strays that this model is prone to."""
    scores = np.stack([seg == c for c in range(4)]).astype(np.float64) * 3
    scores += rng.normal(0, 0.9 if model == 0 else 0.8, scores.shape)
    for label in ((1, 3) if model == 0 else (2, 3)):
        scores[label][spots(rng, 2, 3 if label == 3 else 2)] += 4.5
    return scores


def probabilities_of(scores, kind):
    """Multiples of 1/256, so that the files stay small."""
    e = np.exp(scores)
    p = e / e.sum(0)
    if kind == "regions":
        p = np.stack([p[1:].sum(0), p[2:].sum(0), p[3]])
    return (np.round(p * 256) / 256).astype(np.float32)


def segmentation_of(p, kind):
    if kind == "labels":
        return p.argmax(0).astype(np.uint8)
    seg = np.zeros(SHAPE, np.uint8)
    for i, value in enumerate(KINDS[kind]["regions_class_order"]):
        seg[p[i] > 0.5] = value
    return seg


def write(seg, path):
    image = sitk.GetImageFromArray(seg)
    image.SetSpacing((0.8, 1.1, 2.0))
    image.SetOrigin((-3.0, 12.5, 40.0))
    os.makedirs(os.path.dirname(path), exist_ok=True)
    sitk.WriteImage(image, path, True)


def make_inputs(root, kind, number):
    name = f"Dataset{number}_Small"
    raw = os.path.join(root, "raw", name)
    pre = os.path.join(root, "preprocessed", name)
    os.makedirs(pre)
    dataset = {"channel_names": {"0": "MRI"}, "numTraining": CASES, "file_ending": ".nii.gz",
               **KINDS[kind]}
    configuration = {"architecture": {"network_class_name": "none", "arch_kwargs": {},
                                      "_kw_requires_import": []}}
    plans = {"dataset_name": name, "plans_name": "nnUNetPlans", "label_manager": "LabelManager",
             "image_reader_writer": "SimpleITKIO", "transpose_forward": [0, 1, 2],
             "transpose_backward": [0, 1, 2],
             "configurations": {m: configuration for m in MODELS}}
    for path in (os.path.join(pre, "nnUNetPlans.json"), os.path.join(pre, "dataset.json")):
        with open(path, "w") as f:
            json.dump(plans if "Plans" in path else dataset, f)
    rng = np.random.default_rng(number)
    for i in range(CASES):
        seg = truth_of(rng)
        case = f"case_{i}"
        write(seg, os.path.join(raw, "labelsTr", f"{case}.nii.gz"))
        write(seg, os.path.join(pre, "gt_segmentations", f"{case}.nii.gz"))
        for m, model in enumerate(MODELS):
            p = probabilities_of(scores_of(seg, rng, m), kind)
            folder = os.path.join(root, "results", name, f"nnUNetTrainer__nnUNetPlans__{model}")
            base = os.path.join(folder, f"fold_{i % len(FOLDS)}", "validation", case)
            write(segmentation_of(p, kind), base + ".nii.gz")
            np.savez_compressed(base + ".npz", probabilities=p)
            image = sitk.ReadImage(base + ".nii.gz")
            properties = {"sitk_stuff": {"spacing": image.GetSpacing(),
                                         "origin": image.GetOrigin(),
                                         "direction": image.GetDirection()},
                          "spacing": list(image.GetSpacing())[::-1]}
            import pickle
            with open(base + ".pkl", "wb") as f:
                pickle.dump(properties, f)
            for what, content in (("dataset.json", dataset), ("plans.json", plans)):
                with open(os.path.join(folder, what), "w") as f:
                    json.dump(content, f)
    return name


def copy_masks(source, target):
    os.makedirs(target, exist_ok=True)
    for name in sorted(os.listdir(source)):
        if name.endswith(".nii.gz"):
            shutil.copy(os.path.join(source, name), os.path.join(target, name))


def make(root, out, kind, number):
    from nnunetv2.evaluation.find_best_configuration import find_best_configuration
    name = make_inputs(root, kind, number)
    models = tuple({"plans": "nnUNetPlans", "configuration": m, "trainer": "nnUNetTrainer"}
                   for m in MODELS)
    result = find_best_configuration(name, models, True, 1, True, FOLDS)
    results = os.path.join(root, "results", name)
    target = os.path.join(out, kind)
    shutil.rmtree(target, ignore_errors=True)
    copy_masks(os.path.join(root, "raw", name, "labelsTr"), os.path.join(target, "truth"))
    for model in MODELS:
        folder = os.path.join(results, f"nnUNetTrainer__nnUNetPlans__{model}")
        for fold in FOLDS:
            source = os.path.join(folder, f"fold_{fold}", "validation")
            goal = os.path.join(target, model, f"fold_{fold}", "validation")
            copy_masks(source, goal)
            for file in os.listdir(source):
                if file.endswith(".npz"):
                    shutil.copy(os.path.join(source, file), goal)
        shutil.copy(os.path.join(folder, "dataset.json"), os.path.join(target, model))
    expected = os.path.join(target, "expected")
    ensembles = os.path.join(results, "ensembles")
    copy_masks(os.path.join(ensembles, os.listdir(ensembles)[0]),
               os.path.join(expected, "ensemble"))
    winner = os.path.dirname(result["best_model_or_ensemble"]["postprocessing_file"])
    copy_masks(os.path.join(winner, "postprocessed"), os.path.join(expected, "postprocessed"))
    shutil.copy(os.path.join(winner, "postprocessing.json"), expected)
    short = {k: "ensemble" if k.startswith("ensemble") else k.split("__")[2]
             for k in result["all_results"]}
    best = [k for k in result["all_results"] if k in winner][-1]
    with open(os.path.join(expected, "scores.txt"), "w") as f:
        f.write(short[best] + "\n")
        for k, v in result["all_results"].items():
            f.write(f"{short[k]} {v!r}\n")
        after = result["best_model_or_ensemble"]["result_on_crossval_post_pp"]
        f.write(f"postprocessed {after!r}\n")


def main():
    root = tempfile.mkdtemp()
    for key in ("raw", "preprocessed", "results"):
        os.environ[f"nnUNet_{key}"] = os.path.join(root, key)
        os.makedirs(os.path.join(root, key))
    for number, kind in enumerate(KINDS):
        make(root, sys.argv[1], kind, 901 + number)
    shutil.rmtree(root)


if __name__ == "__main__":
    main()
