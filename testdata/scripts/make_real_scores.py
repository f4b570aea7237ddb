#!/usr/bin/env python3
"""Makes testdata/volume/real_scores.txt: what MONAI, SimpleITK and make_lesions.py say of real masks.

usage: make_real_scores.py DATA_FOLDER OUTPUT.txt       (needs monai, SimpleITK, scipy, connected-components-3d)
Lines "PAIR_REGION tp fp fn tn", "..._monai dice iou hd hd95 assd nsd", "..._hd95 value" (numpy's quantile, in double),
"..._itk dice jaccard volume_similarity", "..._lesions tp fp fn dice f1 hd95" (dilation 3, 50 mm^3). NSD at 2 mm.
"""
import sys

import numpy as np
import SimpleITK as sitk
import torch
from make_lesions import hd95, score
from monai.metrics import (compute_average_surface_distance, compute_dice, compute_hausdorff_distance, compute_iou,
                           compute_surface_dice)

TUMOUR = "brats_4modality/BraTS-Toolkit/data/OtherEXampleFromTCIA/OtherEXampleFromTCIA_brainles"
PAIRS = {
    "liver": ("chaos_liver_ct/nifti/liver-segmentation-chaos3.nii.gz", "chaos_liver_ct/nifti/liver-ground-chaos3.nii.gz", {"liver": [1]}),
    "isen": (f"{TUMOUR}/segmentation/isen-20.nii.gz", f"{TUMOUR}/fusion/simple.nii.gz", {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}),
    "scan": (f"{TUMOUR}/segmentation/scan-20.nii.gz", f"{TUMOUR}/fusion/mav.nii.gz", {"WT": [1, 2, 4], "TC": [1, 4], "ET": [4]}),
}
TOLERANCE = 2.0


def main():
    data, output = sys.argv[1:3]
    with open(output, "w") as f:
        def put(name, *values):
            f.write(" ".join([name] + ["%.17g" % v for v in values]) + "\n")

        for name, (pred_file, ref_file, regions) in PAIRS.items():
            images = [sitk.ReadImage(f"{data}/{p}") for p in (pred_file, ref_file)]
            pred, ref = (np.rint(sitk.GetArrayFromImage(i)).astype(np.uint8) for i in images)
            spacing = tuple(images[1].GetSpacing()[::-1])
            for region, labels in regions.items():
                p, r = np.isin(pred, labels), np.isin(ref, labels)
                key = f"{name}_{region}"
                put(key, (p & r).sum(), (p & ~r).sum(), (~p & r).sum(), (~p & ~r).sum())
                a, b = (torch.from_numpy(v[None, None].astype(np.float32)) for v in (p, r))
                kw = dict(include_background=True, spacing=list(spacing))
                put(f"{key}_monai", compute_dice(a, b).item(), compute_iou(a, b).item(),
                    compute_hausdorff_distance(a, b, **kw).item(), compute_hausdorff_distance(a, b, percentile=95, **kw).item(),
                    compute_average_surface_distance(a, b, symmetric=True, **kw).item(),
                    compute_surface_dice(a, b, [TOLERANCE], **kw).item())
                box = tuple(slice(v.min(), v.max() + 1) for v in np.nonzero(p | r))
                put(f"{key}_hd95", hd95(p[box], r[box], spacing))
                overlap = sitk.LabelOverlapMeasuresImageFilter()
                overlap.Execute(*(sitk.GetImageFromArray(v.astype(np.uint8)) for v in (p, r)))
                put(f"{key}_itk", overlap.GetDiceCoefficient(), overlap.GetJaccardCoefficient(), overlap.GetVolumeSimilarity())
                box = tuple(slice(max(v.min() - 4, 0), v.max() + 5) for v in np.nonzero(p | r))
                put(f"{key}_lesions", *score(p[box], r[box], 3, 50, spacing))


if __name__ == "__main__":
    main()
