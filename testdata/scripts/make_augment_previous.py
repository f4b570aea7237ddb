#!/usr/bin/env python3
"""Makes testdata/volume/augment_previous_*: what batchgeneratorsv2 (0.3.6) makes of a previous stage's mask, with fixed parameters.

usage: make_augment_previous.py OUTPUT_FOLDER       (needs numpy, scipy, torch, scikit-image, acvl_utils, batchgeneratorsv2)
augment_previous_mask.i8 (Z, Y, X) is the mask, labels 0..LABELS; 2D cases take its slice FLAT_SLICE. augment_previous_cases.txt has one
line per case: name, 2D, number of operators, then of each label, kind (0 dilate, 1 erode, 2 close, 3 open), radius; number of
removals, then of each label and choice. augment_previous_want.i8 are the resulting one-hot channels of all cases as one map each.
"""
import sys

import numpy as np
import scipy.ndimage as ndi
import torch
from batchgeneratorsv2.transforms.nnunet import remove_connected_components
from batchgeneratorsv2.transforms.nnunet.random_binary_operator import (
    ApplyRandomBinaryOperatorTransform, binary_closing_torch, binary_dilation_torch, binary_erosion_torch, binary_opening_torch)
from batchgeneratorsv2.transforms.nnunet.remove_connected_components import RemoveRandomConnectedComponentFromOneHotEncodingTransform
from batchgeneratorsv2.transforms.nnunet.seg_to_onehot import MoveSegAsOneHotToDataTransform

SHAPE, FLAT_SLICE, LABELS = (11, 14, 70), 5, 3
KINDS = (binary_dilation_torch, binary_erosion_torch, binary_closing_torch, binary_opening_torch)
CASES = {
    "none": dict(),
    "dilate": dict(ops=[(1, 0, 1.0)]), "dilatewide": dict(ops=[(2, 0, 7.9)]), "dilateodd": dict(ops=[(2, 0, 2.7)]),
    "erode": dict(ops=[(1, 1, 1.0)]), "erodeodd": dict(ops=[(2, 1, 1.6)]), "erodewide": dict(ops=[(1, 1, 4.4)]),
    "close": dict(ops=[(1, 2, 3.3)]), "closewide": dict(ops=[(3, 2, 6.0)]), "open": dict(ops=[(2, 3, 1.3)]), "openwide": dict(ops=[(1, 3, 2.2)]),
    "chain": dict(ops=[(3, 0, 2.1), (1, 2, 4.8), (2, 1, 1.9)]),
    "remove": dict(rem=[(1, 0.0)]), "removelast": dict(rem=[(2, 0.999), (3, 0.5)]),
    "all": dict(ops=[(2, 0, 3.6), (1, 3, 1.2)], rem=[(3, 0.4), (2, 0.7), (1, 0.2)]),
    "flatdilate": dict(flat=True, ops=[(1, 0, 2.7)]), "flaterode": dict(flat=True, ops=[(2, 1, 1.4)]),
    "flatclose": dict(flat=True, ops=[(2, 2, 5.5)]), "flatremove": dict(flat=True, rem=[(1, 0.6)]),
}


def main():
    folder = sys.argv[1]
    rng = np.random.default_rng(8)
    fields = np.stack([ndi.gaussian_filter(rng.standard_normal(SHAPE), 1.6) for _ in range(LABELS + 1)])
    fields[0] += 0.04
    mask = np.argmax(fields, 0).astype(np.int8)
    mask.tofile(f"{folder}/augment_previous_mask.i8")
    lines, wants = [], []
    for name, o in CASES.items():
        seg = torch.from_numpy(mask[FLAT_SLICE] if "flat" in o else mask).to(torch.int16)[None]
        image = torch.zeros((1, *seg.shape[1:]))
        moved = MoveSegAsOneHotToDataTransform(1, list(range(1, LABELS + 1)), True).apply(
            {"image": image, "segmentation": torch.cat((seg, seg))})
        x, channels = moved["image"], list(range(-LABELS, 0))
        ops, rem = o.get("ops", []), o.get("rem", [])
        operator = ApplyRandomBinaryOperatorTransform(channels, strel_size=(1, 8), p_per_label=0.5)
        x = operator._apply_to_image(x, apply_to_channels=[l - 1 - LABELS for l, _, _ in ops], operators=[KINDS[k] for _, k, _ in ops],
                                     strel_size=[r for _, _, r in ops])
        for label, choice in rem:
            remove_connected_components.np.random.choice = lambda ids, c=choice: ids[int(c * len(ids))]
            x = RemoveRandomConnectedComponentFromOneHotEncodingTransform(channels, 0, 0.15, 0.5)._apply_to_image(
                x, apply_to_channels=[label - 1 - LABELS])
        hot = x[1:].numpy()
        assert hot.sum(0).max() <= 1
        wants.append((hot * np.arange(1, LABELS + 1).reshape(-1, *[1] * (hot.ndim - 1))).sum(0).astype(np.int8).ravel())
        values = [int("flat" in o), len(ops), *sum(map(list, ops), []), len(rem), *sum(map(list, rem), [])]
        lines.append(" ".join([name] + ["%.17g" % v for v in values]))
    np.concatenate(wants).tofile(f"{folder}/augment_previous_want.i8")
    open(f"{folder}/augment_previous_cases.txt", "w").write("\n".join(lines) + "\n")
    first = wants[0]
    print({n: int((w != first).sum()) if len(w) == len(first) else int((w != mask[FLAT_SLICE].ravel()).sum()) for n, w in zip(CASES, wants)})


if __name__ == "__main__":
    main()
