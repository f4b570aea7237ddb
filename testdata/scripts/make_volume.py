#!/usr/bin/env python3
"""Fixtures of tests/volume: orientation (nibabel), resampling (scikit-image, scipy), holes (scipy), normalisation (numpy).

usage: make_volume.py OUT          writes OUT/*.npy; needs numpy, scipy, scikit-image, nibabel, batchgenerators 0.25.5
The rules are nnU-Net v2's: see volume/resample.h and volume/normalize.h.
"""
import sys

import numpy as np
from batchgenerators.augmentations.utils import resize_segmentation
from nibabel.orientations import aff2axcodes
from scipy import ndimage
from skimage.transform import resize

rng = np.random.default_rng(20)
out = sys.argv[1]


def save(name, array):
    np.save(f"{out}/{name}.npy", np.ascontiguousarray(array))


def image(channels, *shape):
    """Smooth structures plus noise, in Hounsfield-like numbers."""
    x = rng.normal(size=(channels, *shape))
    smooth = np.stack([ndimage.gaussian_filter(c, 1.5) for c in x])
    return (smooth / max(smooth.std(), 1e-6) * 300 + x * 60 - 200).astype(np.float32)


def labels(dtype, values, *shape):
    """A few blobs, one value each, and some scattered voxels."""
    fields = np.stack([ndimage.gaussian_filter(rng.normal(size=shape), 2) for _ in values])
    x = np.array(values)[fields.argmax(0)]
    loose = rng.random(shape) < 0.05
    x[loose] = rng.choice(values, loose.sum())
    return x.astype(dtype)[None]


def interpolate(x, shape, order):
    return resize(x.astype(float), shape, order, mode="edge", anti_aliasing=False, clip=True)


def interpolate_labels(x, shape, order):
    return resize_segmentation(x, shape, order)


def resample(x, shape, order, axis, one):
    """One channel; across `axis` (None = no separate axis) slices are taken whole, the nearest."""
    if axis is None:
        return one(x, shape, order)
    plane = [n for a, n in enumerate(shape) if a != axis]
    slices = np.stack([one(s, plane, order) for s in np.moveaxis(x, axis, 0)], axis)
    n, m = x.shape[axis], shape[axis]
    at = [np.arange(k, dtype=float) for k in shape]
    at[axis] = n / m * (np.arange(m) + 0.5) - 0.5
    picked = ndimage.map_coordinates(slices.astype(float), np.meshgrid(*at, indexing="ij"), order=0, mode="nearest")
    return picked.astype(x.dtype) if x.dtype.kind in "iu" else picked


def resample_case(name, x, shape, order, axis=None):
    one = interpolate_labels if x.dtype.kind in "iu" else interpolate
    y = np.stack([resample(c, shape, order, axis, one) for c in x])
    save(f"resample_{name}_in", x)
    save(f"resample_{name}_out", y.astype(np.float32 if x.dtype.kind == "f" else x.dtype))


def argmax_case(name, x, shape, axis=None):
    y = np.stack([resample(c, shape, 1, axis, interpolate) for c in x])
    top = np.sort(y, 0)[-2:]
    save(f"argmax_{name}_in", x)
    save(f"argmax_{name}_out", y.argmax(0).astype(np.uint8))
    save(f"argmax_{name}_margin", (top[1] - top[0]).astype(np.float32))


resample_case("up", image(2, 11, 17, 20), (23, 29, 33), 3)
resample_case("down", image(1, 20, 27, 31), (9, 13, 17), 3)
resample_case("down_in_plane_up", image(1, 19, 14, 11), (8, 25, 37), 3)
resample_case("mixed", image(2, 9, 24, 21), (21, 11, 21), 3)
resample_case("thin", image(1, 1, 19, 7), (3, 10, 11), 3)
resample_case("line", image(1, 1, 1, 40), (1, 1, 17), 3)
resample_case("two", image(1, 2, 3, 2), (7, 8, 5), 3)
resample_case("wide", image(1, 3, 37, 70), (5, 41, 90), 3)
resample_case("separate_z", image(2, 7, 18, 15), (12, 26, 11), 3, 0)
resample_case("separate_z_down", image(1, 12, 14, 15), (5, 21, 19), 3, 0)
resample_case("separate_z_same", image(1, 6, 14, 15), (6, 21, 19), 3, 0)
resample_case("separate_y", image(1, 13, 8, 14), (19, 13, 9), 3, 1)
resample_case("separate_x", image(1, 13, 14, 9), (19, 9, 15), 3, 2)
resample_case("linear", image(1, 8, 13, 16), (15, 9, 21), 1)
resample_case("linear_separate_x", image(1, 8, 13, 6), (15, 9, 10), 1, 2)
resample_case("nearest", image(1, 8, 10, 6), (12, 5, 9), 0)
resample_case("labels_up", labels(np.int8, (-1, 0, 1, 2, 5), 10, 16, 13), (20, 32, 26), 1)
resample_case("labels_thirds", labels(np.uint8, (0, 1, 2, 3, 200), 12, 15, 9), (18, 10, 27), 1)
resample_case("labels_down", labels(np.int16, (0, 1, 2, 1000), 16, 18, 20), (8, 9, 10), 1)
resample_case("labels_separate", labels(np.int8, (-1, 0, 1, 2), 7, 16, 13), (12, 24, 13), 1, 0)
resample_case("labels_nearest", labels(np.uint16, (0, 1, 60000), 7, 8, 9), (12, 4, 13), 0)
argmax_case("plain", image(4, 7, 12, 10), (15, 13, 24))
argmax_case("separate", image(3, 6, 11, 10), (11, 19, 7), 0)
argmax_case("same", image(3, 5, 6, 7), (5, 6, 7))

affines = []
for i in range(200):
    m = np.eye(3)[rng.permutation(3)] * rng.choice([-1, 1], 3)
    m = m + rng.normal(size=(3, 3)) * rng.choice([0, 0.02, 0.2, 0.35])
    affines.append(np.c_[m * rng.uniform(0.3, 6, 3), rng.normal(size=3) * 100])
save("orient_affines", np.array(affines))
save("orient_codes", np.array([[ord(c) for c in aff2axcodes(np.r_[a, [[0, 0, 0, 1]]])] for a in affines], np.uint8))

mask = ndimage.gaussian_filter(rng.normal(size=(14, 17, 19)), 0.7)
mask = mask > np.quantile(mask, 0.3)
assert 50 < (ndimage.binary_fill_holes(mask) != mask).sum() < (~mask).sum() - 50
save("holes_in", mask.astype(np.uint8))
save("holes_out", ndimage.binary_fill_holes(mask).astype(np.uint8))

x, inside = image(1, 8, 9, 10)[0], rng.random((8, 9, 10)) < 0.4
save("normalize_in", x), save("normalize_mask", inside.astype(np.uint8))
save("normalize_zscore", (x - x.mean()) / max(x.std(), 1e-8))
masked = x.copy()
masked[inside] = (x[inside] - x[inside].mean()) / max(x[inside].std(), 1e-8)
save("normalize_masked", masked)
save("normalize_ct", (np.clip(x, -310.5, 95.25) - np.float32(-60.2)) / np.float32(133.7))
save("normalize_rescale", (x - x.min()) / np.clip((x - x.min()).max(), 1e-8, None))
