#!/usr/bin/env python3
"""Preprocessing fixtures, in nnU-Net v2's order with numpy, scipy and scikit-image.

usage: make_prepare.py OUT [GOLDEN]
OUT/prepare: a made-up scan of two channels and what becomes of it with and without a separate axis.
GOLDEN: preprocessed/ of nnU-Net's own run on the hippocampus set; two of its cases go to OUT/hippocampus.
"""
import os, sys
import numpy as np
from batchgenerators.augmentations.utils import resize_segmentation
from scipy.ndimage import binary_fill_holes, map_coordinates
from skimage.transform import resize

SPACING = np.array([0.8, 1.0, 3.5])  # z, y, x of the file
ORDER = [2, 0, 1]                    # coarsest axis first
TARGET = np.array([4.5, 1.1, 0.9])   # after transposition
CT = dict(mean=20.0, std=35.0, low=-40.0, high=90.0)


def scan():
    rng = np.random.default_rng(7)
    shape = (14, 20, 9)
    z, y, x = np.meshgrid(*[np.arange(n) for n in shape], indexing="ij")
    body = ((z - 7) / 5.5) ** 2 + ((y - 9) / 8.0) ** 2 + ((x - 4) / 4.2) ** 2 < 1
    image = np.stack([np.rint(100 + 40 * np.sin(z * 0.7) * np.cos(y * 0.5) + rng.normal(0, 15, shape)),
                      np.rint(20 + 10 * (x - 4) + rng.normal(0, 40, shape))]) * body
    image[:, 6:8, 8:10, 4] = 0  # a hole
    labels = np.zeros(shape, np.int16)
    labels[(z - 7) ** 2 + (y - 9) ** 2 + 4 * (x - 4) ** 2 < 22] = 1
    labels[(z - 8) ** 2 + (y - 10) ** 2 + 4 * (x - 4) ** 2 < 6] = 2
    labels[1, 9, 4] = 2  # outside the body: stays as it is
    return image.astype(np.float32), labels


def crop(image, labels):
    mask = binary_fill_holes((image != 0).any(0))
    box = [(int(i.min()), int(i.max()) + 1) for i in np.nonzero(mask)]
    cut = tuple(slice(*b) for b in box)
    image, labels, mask = image[(slice(None), *cut)].copy(), labels[cut].copy(), mask[cut]
    labels[(labels == 0) & ~mask] = -1
    return image, labels, box


def normalise(image, labels):
    inside = labels >= 0
    v = image[0][inside]
    image[0][inside] = (v - v.mean(dtype=np.float64)) / max(v.std(dtype=np.float64), 1e-8)
    image[1] = (np.clip(image[1], CT["low"], CT["high"]) - CT["mean"]) / max(CT["std"], 1e-8)
    return image


def one(a, shape, order):
    return resize(a.astype(float), shape, order, mode="edge", clip=True, anti_aliasing=False)


def across(a, n):
    """Nearest slice along axis 0."""
    scale = a.shape[0] / n
    where = np.meshgrid(scale * (np.arange(n) + 0.5) - 0.5, np.arange(a.shape[1]), np.arange(a.shape[2]), indexing="ij")
    return map_coordinates(a, where, order=0, mode="nearest")


def resample(image, labels, shape, separate):
    if separate:
        inner = shape[1:]
        image = np.stack([across(np.stack([one(s, inner, 3) for s in c]), shape[0]) for c in image])
        labels = across(np.stack([resize_segmentation(s, inner, 1) for s in labels]), shape[0])
    else:
        image = np.stack([one(c, shape, 3) for c in image])
        labels = resize_segmentation(labels, shape, 1)
    return image.astype(np.float32), labels.astype(np.int8)


def made_up(out):
    os.makedirs(out, exist_ok=True)
    image, labels = scan()
    np.save(os.path.join(out, "image.npy"), image)
    np.save(os.path.join(out, "labels.npy"), labels)
    image, labels = image.transpose(0, *[1 + a for a in ORDER]), labels.transpose(ORDER)
    image, labels, box = crop(image, labels)
    np.save(os.path.join(out, "box.npy"), np.array(box, np.int32))
    image = normalise(image, labels)
    shape = [int(round(s / t * n)) for s, t, n in zip(SPACING[ORDER], TARGET, labels.shape)]
    for name, separate in (("separate", True), ("joint", False)):
        i, l = resample(image, labels, shape, separate)
        np.save(os.path.join(out, name + "_image.npy"), i)
        np.save(os.path.join(out, name + "_labels.npy"), l)


def golden(source, out):
    for case in ("hippocampus_125", "hippocampus_160", "hippocampus_336"):
        d = np.load(os.path.join(source, case + ".npz"))
        np.save(os.path.join(out, case + "_image.npy"), d["data"])
        np.save(os.path.join(out, case + "_labels.npy"), d["seg"])


if __name__ == "__main__":
    made_up(os.path.join(sys.argv[1], "prepare"))
    if len(sys.argv) > 2:
        golden(sys.argv[2], os.path.join(sys.argv[1], "hippocampus"))
