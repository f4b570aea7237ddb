#!/usr/bin/env python3
"""Makes testdata/volume/summary.json: nnU-Net's own summary of the maps of make_masks.py (two cases, the second swapped).

usage: make_summary.py MASKS_FOLDER OUTPUT.json    (needs nnunetv2 2.8.1)
"""
import os
import shutil
import sys
import tempfile

import numpy as np
from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder


class Raw:
    def read_seg(self, path):
        return np.fromfile(path, np.uint8), {}


def main():
    masks, output = (os.path.abspath(p) for p in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        for side, names in (("p", ("pred", "ref")), ("r", ("ref", "pred"))):
            os.mkdir(side)
            for case, name in zip(("a", 'b"null'), names):
                shutil.copy(f"{masks}/masks_{name}.u8", f"{side}/{case}.u8")
        compute_metrics_on_folder("r", "p", output, Raw(), ".u8", [1, 2, (1, 3), 4, 5, 6], num_processes=1)
        os.chdir("/")


if __name__ == "__main__":
    main()
