#!/usr/bin/env python3
"""Makes testdata/volume/tiles_*: tile positions and importance maps of nnU-Net 2.8.1 and MONAI.

usage: make_tiles.py OUTPUT_FOLDER       (needs numpy, scipy, torch, monai, nnunetv2's inference/sliding_window_prediction.py)
tiles_map_RULE.f32 are maps of the patch PATCH; tiles_values.txt has one "name value..." line per result.
"""
import sys

import numpy as np
import torch
from monai.data.utils import compute_importance_map, dense_patch_slices
from monai.inferers.utils import _get_scan_interval
from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

PATCH = (12, 20, 9)
IMAGES = [((110, 64, 65), (64, 64, 64), 0.5), ((155, 240, 240), (128, 128, 128), 0.5), ((78, 410, 410), (56, 192, 160), 0.5),
          ((41, 97, 200), (20, 31, 64), 0.3), ((33, 35, 37), (32, 32, 32), 1.0)]


def main():
    folder, lines = sys.argv[1], []
    for k, (image, patch, step) in enumerate(IMAGES):
        for rule, starts in (("nnunet", compute_steps_for_sliding_window(image, patch, step)),
                             ("monai", [sorted({t[d].start for t in dense_patch_slices(image, patch, _get_scan_interval(image, patch, 3, [1 - step] * 3))})
                                        for d in range(3)])):
            for d in range(3):
                lines.append(f"{rule}_{k}_{d} {len(starts[d])} " + " ".join(str(int(s)) for s in starts[d]))
    cpu = torch.device("cpu")
    nnunet = compute_gaussian(PATCH, value_scaling_factor=10, device=cpu).float().numpy()
    nnunet.tofile(f"{folder}/tiles_map_nnunet.f32")
    compute_importance_map(PATCH, mode="gaussian").numpy().astype(np.float32).tofile(f"{folder}/tiles_map_monai.f32")
    big = compute_gaussian((128, 128, 128), value_scaling_factor=10, device=cpu).float().numpy().astype(np.float64)
    lines.append(f"nnunet_128 {big.sum():.17g} {big.min():.17g} {int((big == big.min()).sum())}")
    open(f"{folder}/tiles_values.txt", "w").write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
