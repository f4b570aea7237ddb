#!/usr/bin/env python3
"""Makes testdata/volume/masks_*: label maps with what cc3d, scipy, MONAI and SimpleITK say about them.

usage: make_masks.py OUTPUT_FOLDER       (needs numpy, scipy, connected-components-3d, monai, SimpleITK)
Maps are raw uint8, (Z, Y, X). masks_values.txt has one "name value..." line per result.
"""
import sys
import warnings

import cc3d
import numpy as np
import scipy.ndimage as ndi
import SimpleITK as sitk
import torch
from monai.metrics import (compute_average_surface_distance, compute_hausdorff_distance, compute_iou, compute_dice,
                           compute_surface_dice)

SHAPE, SPACING, TOLERANCE = (21, 34, 29), (2.0, 0.8, 0.7), 1.6


def smooth_labels(rng, classes, jitter=None):
    fields = [ndi.gaussian_filter(rng.standard_normal(SHAPE), 3) for _ in range(classes)] if jitter is None else \
        [f + 0.25 * f.std() * ndi.gaussian_filter(rng.standard_normal(SHAPE), 1) / 0.08 for f in jitter]
    return fields, np.argmax(fields, 0).astype(np.uint8)


def main():
    folder = sys.argv[1]
    rng = np.random.default_rng(20)
    warnings.simplefilter("ignore")
    lines = []

    def put(name, *values):
        lines.append(" ".join([name] + ["%.17g" % v if isinstance(v, float) else str(v) for v in values]))

    # components: sparse noise, so that faces, edges and corners matter
    noise = (rng.random(SHAPE) < 0.22) * rng.integers(1, 4, SHAPE).astype(np.uint8)
    noise.astype(np.uint8).tofile(f"{folder}/masks_noise.u8")
    for connectivity in (6, 18, 26):
        for binary in (0, 1):
            _, count = cc3d.connected_components(noise, connectivity=connectivity, return_N=True, binary_image=bool(binary))
            parts = cc3d.connected_components(noise, connectivity=connectivity, binary_image=bool(binary))
            put(f"components_{connectivity}_{binary}", int(count), int(np.bincount(parts.ravel())[1:].max()))

    # distances
    few = noise.astype(bool) & (rng.random(SHAPE) < 0.02)
    few.astype(np.uint8).tofile(f"{folder}/masks_few.u8")
    ndi.distance_transform_edt(~few, sampling=SPACING).astype(np.float32).tofile(f"{folder}/masks_few_distance.f32")

    # metrics: labels 1..3 overlap, 4 nowhere, 5 only predicted, 6 only true
    fields, ref = smooth_labels(rng, 4)
    _, pred = smooth_labels(rng, 4, fields)
    pred[2:4, 3:6, 20:23] = 5
    ref[10:12, 30:33, 2:5] = 6
    pred.tofile(f"{folder}/masks_pred.u8"), ref.tofile(f"{folder}/masks_ref.u8")
    for name, labels in (("1", [1]), ("2", [2]), ("3", [3]), ("13", [1, 3]), ("4", [4]), ("5", [5]), ("6", [6])):
        p, r = np.isin(pred, labels), np.isin(ref, labels)
        tp, fp, fn, tn = (int(v.sum()) for v in (p & r, p & ~r, ~p & r, ~p & ~r))
        put(f"counts_{name}", tp, fp, fn, tn)
        a, b = (torch.from_numpy(v[None, None].astype(np.float32)) for v in (p, r))
        kw = dict(include_background=True, spacing=list(SPACING))
        put(f"monai_{name}", compute_dice(a, b).item(), compute_iou(a, b).item(),
            compute_hausdorff_distance(a, b, **kw).item(), compute_hausdorff_distance(a, b, percentile=95, **kw).item(),
            compute_average_surface_distance(a, b, symmetric=True, **kw).item(),
            compute_surface_dice(a, b, [TOLERANCE], **kw).item())
        if p.any() and r.any():
            f = sitk.LabelOverlapMeasuresImageFilter()
            f.Execute(*(sitk.GetImageFromArray(v.astype(np.uint8)) for v in (p, r)))
            # MONAI takes the quantile's rank in single precision, so this one says what it should be
            e, g = (ndi.binary_erosion(v) ^ v for v in (p, r))
            to = lambda a, b: ndi.distance_transform_edt(~b, sampling=SPACING)[a]
            put(f"hd95_{name}", max(np.quantile(to(e, g), 0.95), np.quantile(to(g, e), 0.95)).item())
            put(f"itk_{name}", f.GetDiceCoefficient(), f.GetJaccardCoefficient(), f.GetVolumeSimilarity())
    open(f"{folder}/masks_values.txt", "w").write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
