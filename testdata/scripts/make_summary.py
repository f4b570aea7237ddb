#!/usr/bin/env python3
"""Makes testdata/volume/summary*.json, nnU-Net's own summaries, and the small maps of two of them.

usage: make_summary.py FOLDER    (needs nnunetv2 2.8.1; FOLDER holds the maps of make_masks.py)
summary.json          the maps of make_masks.py: two cases, the second swapped; labels and a region
summary_ignore.json   the first 12 pairs of many.u8 with ten labels and an ignore label
summary_regions.json  all 150 pairs of many.u8 with regions ("(3,)" is [3] in dataset.json) and the ignore label
many.u8               raw uint8, (case, prediction and truth, Z, Y, X); 11 is the ignore label
"""
import os
import shutil
import sys
import tempfile

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder

CASES, SHAPE, IGNORE = 150, (3, 4, 5), 11


class Raw:
    def read_seg(self, path):
        return np.fromfile(path, np.uint8), {}


def summarise(pairs, output, regions, ignore=None):
    """pairs: name -> (prediction, truth)"""
    home = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for i, side in enumerate("pr"):
            os.mkdir(side)
            for name, maps in pairs.items():
                maps[i].tofile(f"{side}/{name}.u8")
        compute_metrics_on_folder("r", "p", output, Raw(), ".u8", regions, ignore, num_processes=1)
        os.chdir(home)


def make_many(rng):
    many = rng.integers(0, 11, (CASES, 2) + SHAPE).astype(np.uint8)
    many[:, 0] = np.where(rng.random((CASES,) + SHAPE) < 0.6, many[:, 1], many[:, 0])
    many[:, 1][rng.random((CASES,) + SHAPE) < 0.1] = IGNORE
    many[::7][many[::7] == 3] = 0
    return many


def main():
    folder = os.path.abspath(sys.argv[1])
    maps = [np.fromfile(f"{folder}/masks_{name}.u8", np.uint8) for name in ("pred", "ref")]
    summarise({"a": maps, 'b"null': maps[::-1]}, f"{folder}/summary.json", [1, 2, (1, 3), 4, 5, 6])
    many = make_many(np.random.default_rng(3))
    many.tofile(f"{folder}/many.u8")
    pairs = {f"c{i:03d}": many[i] for i in range(CASES)}
    summarise(dict(list(pairs.items())[:12]), f"{folder}/summary_ignore.json", list(range(1, 11)), IGNORE)
    summarise(pairs, f"{folder}/summary_regions.json", [(1, 2, 3), (3,)], IGNORE)


if __name__ == "__main__":
    main()
