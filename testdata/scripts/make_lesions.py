#!/usr/bin/env python3
"""Makes testdata/volume/lesions_*: two masks with the lesion-wise scores of the BraTS 2023 rule.

usage: make_lesions.py OUTPUT_FOLDER       (needs numpy, scipy, connected-components-3d)
Each lesion is cut out, grown and scored on its own, the slow way. Masks are raw uint8, (Z, Y, X). lesions_values.txt has lines
"NAME tp fp fn dice f1 hd95", NAME = DILATION_MINIMUM_SPACING.
"""
import sys

import cc3d
import numpy as np
import scipy.ndimage as ndi

SHAPE, PENALTY = (30, 32, 28), 374.0
SPACINGS = {"cube": (1.0, 1.0, 1.0), "flat": (2.0, 0.8, 0.7)}
EDGES = ndi.generate_binary_structure(3, 2)


def surface(mask):
    return mask ^ ndi.binary_erosion(mask)


def hd95(a, b, spacing):
    a, b = surface(a), surface(b)
    one = ndi.distance_transform_edt(~b, sampling=spacing)[a]
    other = ndi.distance_transform_edt(~a, sampling=spacing)[b]
    return max(np.quantile(one, 0.95), np.quantile(other, 0.95))


def grow(mask, times):
    return ndi.binary_dilation(mask, EDGES, iterations=times) if times else mask


def score(pred, ref, dilation, minimum, spacing):
    groups = cc3d.connected_components(grow(ref, dilation).astype(np.uint8), connectivity=26)
    parts = cc3d.connected_components(pred.astype(np.uint8), connectivity=26)
    voxel, used, dice, distance, tp, fn = float(np.prod(spacing)), set(), [], [], 0, 0
    for g in range(1, groups.max() + 1):
        lesion = ref & (groups == g)
        touched = set(np.unique(parts[grow(lesion, dilation)])) - {0}
        used |= touched
        if lesion.sum() * voxel <= minimum:
            continue
        mine = np.isin(parts, list(touched))
        dice.append(2.0 * (mine & lesion).sum() / (mine.sum() + lesion.sum()))
        distance.append(hd95(mine, lesion, spacing) if touched else PENALTY)
        tp, fn = tp + bool(touched), fn + (not touched)
    fp = parts.max() - len(used)
    n = tp + fn + fp
    return (tp, fp, fn) + ((sum(dice) / n, 2 * tp / (tp + n), (sum(distance) + fp * PENALTY) / n) if n else (1.0, 1.0, 0.0))


def blobs(rng, count, radius):
    mask = np.zeros(SHAPE, bool)
    grid = np.stack(np.meshgrid(*map(np.arange, SHAPE), indexing="ij"), -1)
    for _ in range(count):
        centre, r = rng.random(3) * SHAPE, radius[0] + rng.random() * (radius[1] - radius[0])
        mask |= ((grid - centre) ** 2 * (1 + rng.random(3))).sum(-1) < r * r
    return mask


def main():
    folder = sys.argv[1]
    rng = np.random.default_rng(7)
    ref = blobs(rng, 14, (1, 4.5))
    pred = np.roll(ref, (1, 0, -1), (0, 1, 2)) & (ndi.gaussian_filter(rng.standard_normal(SHAPE), 2) > -0.05) | blobs(rng, 5, (1, 3))
    pred[:, :, :9] = False  # lesions nobody saw
    pred.astype(np.uint8).tofile(f"{folder}/lesions_pred.u8"), ref.astype(np.uint8).tofile(f"{folder}/lesions_ref.u8")
    with open(f"{folder}/lesions_values.txt", "w") as f:
        for dilation, minimum in ((3, 50), (1, 50), (1, 2), (0, 0)):
            for name, spacing in SPACINGS.items():
                values = score(pred, ref, dilation, minimum, spacing)
                f.write(f"{dilation}_{minimum}_{name} " + " ".join("%.17g" % v for v in values) + "\n")


if __name__ == "__main__":
    main()
