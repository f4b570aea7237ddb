#!/usr/bin/env python3
"""Losses and their gradients by nnU-Net v2 and PyTorch: testdata/nets3d/losses.safetensors.

usage: make_losses.py OUT     (needs torch, safetensors, nnunetv2, batchgeneratorsv2)

Per case NAME: NAME.logits.0 and .1 (n,c,d,h,w; the second at half the extents), NAME.labels
(int16), NAME.value.0 and .1, NAME.grad.0 and .1 of 0.7 * level 0 + 0.3 * level 1.
Metadata NAME: "regions ignore batch_dice sigmoid weights", see CASES.
"""
import sys

import torch
from batchgeneratorsv2.transforms.utils.deep_supervision_downsampling import (
    DownsampleSegForDSTransform)
from batchgeneratorsv2.transforms.utils.seg_to_regions import ConvertSegmentationToRegionsTransform
from nnunetv2.training.loss.compound_losses import DC_and_BCE_loss, DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss
from safetensors.torch import save_file
from torch.nn import functional as F

SHAPE = (2, 4, 6, 8)  # n, d, h, w
REGIONS = [(1, 2, 3), (2, 3), (3,)]
CASES = {  # name: regions?, ignore label or None, batch dice, sigmoid, class weights
    "regions": (True, None, False, True, None),
    "regions_batch": (True, None, True, True, None),
    "regions_ignore": (True, 4, False, True, None),
    "regions_ignore_batch": (True, 4, True, True, None),
    "ignore": (False, 4, False, False, None),
    "ignore_batch": (False, 4, True, False, None),
    "scribbles": (False, 4, True, False, None),
    "weights": (False, None, False, False, [0.5, 1, 2, 4]),
    "weights_ignore": (False, 4, True, False, [0.5, 1, 2, 4]),
    "regions_weights": (True, None, True, True, [1, 2, 5]),
    "labels_sigmoid": (False, None, False, True, None),
}


def weighted_dice(p, onehot, mask, batch, weights):
    axes = ([0] if batch else []) + list(range(2, p.ndim))
    top = 2 * (p * onehot * mask).sum(axes) + 1e-5
    bottom = (p * mask).sum(axes) + (onehot * mask).sum(axes) + 1e-5
    dice = top / bottom.clip(1e-8)
    return -((dice * weights).sum(-1) / weights.sum()).mean()


def plain(logits, labels, case):
    """What nnU-Net has no words for, in torch's: class weights, sigmoids on labels."""
    regions, ignore, batch, sigmoid, weights = case
    c = logits.shape[1]
    w = torch.tensor(weights or [1.0] * c, dtype=torch.float64)
    mask = torch.ones_like(labels, dtype=torch.float64) if ignore is None else (labels != ignore).double()
    known = torch.where(mask > 0, labels, torch.zeros_like(labels))
    if regions:
        onehot = torch.cat([sum((labels == v).double() for v in r) for r in REGIONS], 1)
    else:
        onehot = F.one_hot(known[:, 0].long(), c).movedim(-1, 1).double()
    first = 0 if regions else 1
    if sigmoid:
        p = torch.sigmoid(logits)
        bce = F.binary_cross_entropy_with_logits(logits, onehot, reduction="none")
        entropy = (bce * w.view(1, -1, 1, 1, 1)).sum(1).mean() / w.sum()
    else:
        p = torch.softmax(logits, 1)
        entropy = F.cross_entropy(logits, labels[:, 0].long(), weight=w,
                                  ignore_index=-100 if ignore is None else ignore)
    return entropy + weighted_dice(p[:, first:], onehot[:, first:], mask, batch, w[first:])


def nnunet(logits, target, case):
    regions, ignore, batch, _, _ = case
    dice = {"batch_dice": batch, "smooth": 1e-5, "do_bg": regions, "ddp": False}
    if regions:
        loss = DC_and_BCE_loss({}, dice, use_ignore_label=ignore is not None,
                               dice_class=MemoryEfficientSoftDiceLoss)
    else:
        loss = DC_and_CE_loss(dice, {}, weight_ce=1, weight_dice=1, ignore_label=ignore,
                              dice_class=MemoryEfficientSoftDiceLoss)
    return loss(logits, target)


def targets(labels, case):
    """Per level, as nnU-Net's transforms make them, sample by sample."""
    regions, ignore = case[:2]
    levels = [[], []]
    for sample in labels:
        sample = sample[None]
        if regions:
            wanted = list(REGIONS) + ([[ignore]] if ignore is not None else [])
            sample = ConvertSegmentationToRegionsTransform(regions=wanted, channel_in_seg=0)(
                segmentation=sample)["segmentation"]
        for to, part in zip(levels, DownsampleSegForDSTransform([(1, 1, 1), (0.5, 0.5, 0.5)])(
                segmentation=sample)["segmentation"]):
            to.append(part)
    return [torch.stack(x) for x in levels]


def main():
    torch.manual_seed(3)
    tensors, about = {}, {}
    for name, case in CASES.items():
        regions, ignore, batch, sigmoid, weights = case
        labels = torch.randint(0, 4 if ignore is None else 5, SHAPE).short()
        if name == "scribbles":
            labels[torch.rand(SHAPE) < 0.9] = ignore
        c = 3 if regions else 4
        logits = [torch.randn((SHAPE[0], c) + tuple(e // f for e in SHAPE[1:])) * 2 for f in (1, 2)]
        known = weights is None and sigmoid == regions
        level_targets = targets(labels, case if known else (False, ignore))
        inputs = [x.double().requires_grad_() for x in logits]
        values = [nnunet(x, t, case) if known else plain(x, t, case)
                  for x, t in zip(inputs, level_targets)]
        (0.7 * values[0] + 0.3 * values[1]).backward()
        tensors[name + ".labels"] = labels
        for i in range(2):
            tensors[f"{name}.logits.{i}"] = logits[i]
            tensors[f"{name}.value.{i}"] = values[i].detach().double().reshape(1)
            tensors[f"{name}.grad.{i}"] = inputs[i].grad.float()
        about[name] = " ".join([str(int(regions)), str(-1 if ignore is None else ignore),
                                str(int(batch)), str(int(sigmoid))] + [str(w) for w in weights or []])
    order = sorted(tensors, key=lambda k: -tensors[k].element_size())
    save_file({k: tensors[k].contiguous() for k in order}, sys.argv[1] + "/losses.safetensors", about)


if __name__ == "__main__":
    main()
