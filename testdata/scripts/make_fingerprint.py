#!/usr/bin/env python3
"""Intensities as nnU-Net's own DatasetFingerprintExtractor finds them: testdata/fingerprint/.

usage: make_fingerprint.py OUT     (needs nnunetv2 2.8.1)

set/: a made-up data set of two channels and three cases of different sizes with empty borders,
its dataset_fingerprint.json by nnU-Net. draws.json: statistics of smaller samples of values that
tests/nets3d/plan/test_intensity_samples.c makes by the same formula; with "empty" the second case has none.
"""
import json
import os
import sys
import tempfile

import numpy as np
import SimpleITK as sitk

SIZES = [5000, 37, 1, 70001]


def values(case, channel, count):
    """Whole numbers in channel 0, multiples of 1/8 beyond 16 bits in channel 1."""
    i = np.arange(count, dtype=np.uint64)
    v = (i * np.uint64(2654435761) + np.uint64(977 * case + 31 * channel)) % np.uint64(1 << 32)
    v = (v >> np.uint64(8)) % np.uint64(1 << 20)
    return ((v % 3001).astype(np.float32) - 1000 if channel == 0
            else v.astype(np.float32) / np.float32(8))


def sample(extractor, draws, empty):
    parts = [[], []]
    for case, n in enumerate(SIZES):
        images = np.stack([values(case, c, n) for c in range(2)])[:, None, None]
        seg = np.full((1, 1, 1, n), 0 if empty and case == 1 else 1, np.int8)
        got, _ = extractor.collect_foreground_intensities(seg, images, num_samples=draws)
        for c in range(2):
            parts[c].append(got[c])
    out = []
    for c in range(2):
        a = np.concatenate(parts[c])
        low, median, high = np.percentile(a, np.array((0.5, 50.0, 99.5)))
        out.append({"mean": float(np.mean(a)), "std": float(np.std(a)), "median": float(median),
                    "min": float(np.min(a)), "max": float(np.max(a)),
                    "percentile_00_5": float(low), "percentile_99_5": float(high)})
    return out


def make_set(out):
    rng = np.random.default_rng(5)
    os.makedirs(os.path.join(out, "imagesTr"), exist_ok=True)
    os.makedirs(os.path.join(out, "labelsTr"), exist_ok=True)
    for case, (shape, mm) in enumerate([((9, 14, 12), (0.8, 0.8, 2.5)), ((11, 10, 15), (1, 1, 3)),
                                        ((8, 17, 13), (0.7, 0.9, 2))]):
        z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
        body = (z > 0) & (y > 1) & (y < shape[1] - 2) & (x > case)
        ct = np.rint(rng.normal(60 + 5 * case, 90, shape)).astype(np.int16) * body
        mr = (rng.gamma(2, 120, shape) * body).astype(np.float32)
        label = ((z - 4) ** 2 + (y - 6) ** 2 + (x - 6) ** 2 < 14).astype(np.uint8)
        label[(z == 4) & (y == 6)] *= 2
        label[0, 0, 0] = 1  # cropped away
        for name, a in (("imagesTr/c%d_0000" % case, ct), ("imagesTr/c%d_0001" % case, mr),
                        ("labelsTr/c%d" % case, label)):
            image = sitk.GetImageFromArray(a)
            image.SetSpacing([float(m) for m in mm])
            sitk.WriteImage(image, os.path.join(out, name + ".nii.gz"), True)
    with open(os.path.join(out, "dataset.json"), "w") as f:
        json.dump({"channel_names": {"0": "CT", "1": "T1"},
                   "labels": {"background": 0, "a": 1, "b": 2}, "numTraining": 3,
                   "file_ending": ".nii.gz"}, f, indent=1)
        f.write("\n")


def main():
    out = sys.argv[1]
    with tempfile.TemporaryDirectory() as work:
        raw = os.path.join(work, "raw")
        os.makedirs(raw)
        make_set(os.path.join(out, "set"))
        os.symlink(os.path.abspath(os.path.join(out, "set")), os.path.join(raw, "Dataset901_MadeUp"))
        os.environ.update(nnUNet_raw=raw, nnUNet_preprocessed=os.path.join(work, "prepared"),
                          nnUNet_results=os.path.join(work, "results"))
        from nnunetv2.experiment_planning.dataset_fingerprint.fingerprint_extractor import \
            DatasetFingerprintExtractor as Extractor
        fingerprint = Extractor(901, 1).run()
        with open(os.path.join(out, "set", "dataset_fingerprint.json"), "w") as f:
            json.dump(fingerprint, f, indent=1)
            f.write("\n")
        draws = [{"draws": n, "empty": empty, "channels": sample(Extractor, n, empty)}
                 for n in (1, 3, 100, 1003, 20000) for empty in (False, True)]
    with open(os.path.join(out, "draws.json"), "w") as f:
        json.dump(draws, f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    main()
