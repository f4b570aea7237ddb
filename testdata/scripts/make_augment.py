#!/usr/bin/env python3
"""Makes testdata/volume/augment_*: what batchgeneratorsv2 (0.3.6) makes of one source with fixed parameters.

usage: make_augment.py OUTPUT_FOLDER       (needs numpy, scipy, torch, batchgeneratorsv2)
augment_image.f32 (2, Z, Y, X) and augment_labels.i16 are the source; 2D cases take its slice FLAT_SLICE. augment_cases.txt has one
line per case: name, 2D, spatial, in-plane, matrix, mirror, then per channel blur sigmas, brightness, contrast, low resolution,
inverted gamma, gamma. augment_want.f32 / .i16 are the results of all cases, (2, D, H, W) and (D, H, W); D = 1 in 2D. Labels are
before -1 becomes 0.
"""
import sys

import numpy as np
import scipy.ndimage as ndi
import torch
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import blur_dimension
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform, create_affine_matrix_2d, create_affine_matrix_3d
from batchgeneratorsv2.transforms.spatial.spatial import _convert_my_grid_to_grid_sample_grid, _create_centered_identity_grid2

SOURCE, PATCH, FLAT_SLICE = (12, 19, 20), (9, 12, 13), 5
CASES = {
    "mirror": dict(mirror=(0, 1, 1)),
    "rotate": dict(angles=(0.4, -0.3, 0.5), scale=1.0), "shrink": dict(angles=(0, 0, 0), scale=1.37),
    "both": dict(angles=(-0.5, 0.2, 0.1), scale=0.75, mirror=(1, 0, 1)), "inplane": dict(angles=(2.0,), scale=1.2, mirror=(0, 1, 0)),
    "scaleplane": dict(angles=(0.0,), scale=0.72), "contrast": dict(contrast=(0.77, 1.23)),
    "lowresplane": dict(lowres=(0.55, 0.9), plane=True), "blurboth": dict(blur=((1.0, 0.5, 0.8), (0.66, 0.93, 0.52))),
    "flatrotate": dict(flat=True, angles=(0.7,), scale=1.0), "flatscale": dict(flat=True, angles=(0.0,), scale=1.31),
    "flatboth": dict(flat=True, angles=(-2.9,), scale=0.74, mirror=(0, 1, 1)), "flatcrop": dict(flat=True, mirror=(0, 0, 1)),
    "flatblur": dict(flat=True, blur=((0, 0.9, 0.6), (0, 0.5, 1.0))), "flatlowres": dict(flat=True, lowres=(0.5, 0.77)),
    "flatall": dict(flat=True, angles=(1.2,), scale=0.9, mirror=(0, 1, 0), blur=((0, 0.6, 0.9), (0, 0, 0)), brightness=(1.1, 0.8),
                    contrast=(0.9, 1.2), lowres=(0.8, 1.0), gammainv=(0.8, 1.2), gamma=(1.3, 0.7)),
    "blur": dict(blur=((0.5, 0.71, 1.0), (0, 0, 0))), "bright": dict(brightness=(0.8, 1.2)),
    "brightcontrast": dict(brightness=(1.2, 0.9), contrast=(1.25, 0.8)),
    "lowres": dict(lowres=(0.5, 0.83)), "lowresmirror": dict(lowres=(0.61, 1.0), mirror=(1, 1, 1)),
    "gammainv": dict(gammainv=(0.7, 1.4)), "gamma": dict(gamma=(1.5, 0.8)),
    "all": dict(angles=(0.1, 0.2, -0.3), scale=1.1, mirror=(0, 1, 1), blur=((0.6, 0.9, 0.8), (1.0, 0.5, 0.55)), brightness=(0.9, 1.1),
                contrast=(1.1, 0.9), lowres=(0.7, 1.0), gammainv=(1.3, 0.9), gamma=(0.75, 1.2)),
}


def spatial(image, labels, o):
    plane = "angles" in o and len(o["angles"]) == 1
    size = PATCH[1:] if plane or "flat" in o else PATCH
    if "flat" in o:
        image, labels = image[:, FLAT_SLICE], labels[:, FLAT_SLICE]
    elif plane:  # nnU-Net's dummy 2D: slices are channels; the depth must already fit
        low = SOURCE[0] // 2 - PATCH[0] // 2
        image, labels = image[:, low:low + PATCH[0]], labels[:, low:low + PATCH[0]]
        image, labels = image.reshape(-1, *SOURCE[1:]), labels.reshape(-1, *SOURCE[1:])
    t = SpatialTransform(size, 0, False, border_mode_seg="constant", padding_value_seg=-1, seg_tiebreak="lowest")
    shape, grid, matrix = image.shape[1:], None, np.eye(3)
    if "angles" in o:
        a = create_affine_matrix_2d(o["angles"][0], [o["scale"]] * 2) if plane else create_affine_matrix_3d(o["angles"], [o["scale"]] * 3)
        matrix[3 - len(a):, 3 - len(a):] = a
        grid = _create_centered_identity_grid2(size).float() @ torch.from_numpy(a.T).float()
        grid = _convert_my_grid_to_grid_sample_grid(grid, shape)
    p = dict(center_location_in_pixels=[s / 2 for s in shape], grid=grid)
    image, labels = t._apply_to_image(image, **p), t._apply_to_segmentation(labels, **p)
    depth = (1,) if "flat" in o else PATCH[:1]
    return image.reshape(2, *depth, *PATCH[1:]).contiguous(), labels.reshape(1, *depth, *PATCH[1:]), matrix


def plane_only(o):
    return "plane" in o or "flat" in o or len(o.get("angles", ())) == 1


def main():
    folder = sys.argv[1]
    rng = np.random.default_rng(3)
    image = np.stack([ndi.gaussian_filter(rng.standard_normal(SOURCE), s) / n for s, n in ((1, 0.2), (0.7, 0.3))]).astype(np.float32)
    labels = np.argmax([ndi.gaussian_filter(rng.standard_normal(SOURCE), 2) for _ in range(3)], 0).astype(np.int16)
    labels[:2] = -1
    image.tofile(f"{folder}/augment_image.f32"), labels.tofile(f"{folder}/augment_labels.i16")
    lines, images, segs = [], [], []
    for name, o in CASES.items():
        x, seg, matrix = spatial(torch.from_numpy(image.copy()), torch.from_numpy(labels.copy())[None], o)
        blurs = o.get("blur", ((0, 0, 0),) * 2)
        for c in range(2):
            for d in range(3):
                if blurs[c][d]:
                    x[c:c + 1] = blur_dimension(x[c:c + 1], blurs[c][d], d)
        both = torch.arange(2)
        for c, f in enumerate(o.get("brightness", ())):
            x[c] *= f
        if "contrast" in o:
            x = ContrastTransform((0, 1), True, False)._apply_to_image(x, apply_to_channel=both, multipliers=torch.tensor(o["contrast"]))
        if "lowres" in o:
            keep = [c for c in range(2) if o["lowres"][c] < 1]
            down = [1, 0, 0] if plane_only(o) else [0, 0, 0]  # axes that keep their resolution
            x = SimulateLowResolutionTransform((0, 1), False, True, None)._apply_to_image(
                x, apply_to_channel=keep, scales=torch.Tensor([[1 if k else o["lowres"][c] for k in down] for c in keep]))
        for key, invert in (("gammainv", True), ("gamma", False)):
            if key in o:
                x = GammaTransform(1, 1, False, 1, 1)._apply_to_image(
                    x, apply_to_channel=both, retain_stats=torch.tensor([True] * 2), invert_image=torch.tensor([invert] * 2),
                    gamma=torch.tensor(o[key]))
        flips = [a + 1 for a in range(3) if o.get("mirror", (0, 0, 0))[a]]
        if flips:
            x, seg = torch.flip(x, flips), torch.flip(seg, flips)
        images.append(x.numpy()), segs.append(seg.numpy())
        values = [int("flat" in o), int("angles" in o), int(plane_only(o)), *matrix.ravel(), *o.get("mirror", (0, 0, 0))]
        for c in range(2):
            values += [*blurs[c], o.get("brightness", (1, 1))[c], o.get("contrast", (1, 1))[c], o.get("lowres", (1, 1))[c],
                       o.get("gammainv", (0, 0))[c], o.get("gamma", (0, 0))[c]]
        lines.append(" ".join([name] + ["%.17g" % v for v in values]))
    np.concatenate([i.ravel() for i in images]).astype(np.float32).tofile(f"{folder}/augment_want.f32")
    np.concatenate([i.ravel() for i in segs]).astype(np.int16).tofile(f"{folder}/augment_want.i16")
    open(f"{folder}/augment_cases.txt", "w").write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
