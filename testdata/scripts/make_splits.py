#!/usr/bin/env python3
"""nnU-Net's folds for many numbers of cases: testdata/splits.json.

usage: make_splits.py OUT     (needs nnunetv2 2.8.1)

{"kfold": {cases: [validation indices of each fold]},
 "random": [{"cases", "fold", "val"}]}: the rule for a fold without a split.
"""
import json
import os
import sys

import numpy as np
from nnunetv2.utilities.crossval_split import generate_crossval_split

COUNTS = (5, 6, 7, 8, 9, 11, 13, 16, 17, 31, 32, 33, 64, 65, 101, 131, 195, 256, 257, 369)


def kfold(cases):
    names = [f"{i:05d}" for i in range(cases)]
    return [sorted(map(int, fold["val"])) for fold in generate_crossval_split(names)]


def random(cases, fold):
    rnd = np.random.RandomState(seed=12345 + fold)
    train = rnd.choice(cases, int(cases * 0.8), replace=False)
    return {"cases": cases, "fold": fold,
            "val": [int(i) for i in range(cases) if i not in set(train.tolist())]}


def main():
    out = {"kfold": {str(n): kfold(n) for n in COUNTS},
           "random": [random(n, f) for n in (5, 7, 33, 131) for f in (5, 6, 23)]}
    with open(os.path.join(sys.argv[1], "splits.json"), "w") as f:
        json.dump(out, f, separators=(",", ":"))
        f.write("\n")


if __name__ == "__main__":
    main()
