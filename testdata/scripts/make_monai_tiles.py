#!/usr/bin/env python3
"""Makes testdata/nets3d/monai.safetensors: a scan through MONAI's sliding_window_inference with a
small network that has nnU-Net's names.

usage: make_monai_tiles.py OUT.safetensors  (torch, monai, safetensors, dynamic-network-architectures)

Holds the parameters, `scan` (Z, Y, X), and the logits (3, Z, Y, X) of the z-scored scan for
patches of 8: `constant` (overlap 0.25) and `gaussian` (overlap 0.5).
"""
import sys

import torch
from dynamic_network_architectures.architectures.unet import PlainConvUNet
from monai.inferers import sliding_window_inference
from safetensors.torch import save_file
from torch import nn

torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False  # plain loops: closest to exact arithmetic


def main():
    torch.manual_seed(5)
    net = PlainConvUNet(1, 2, (4, 8), nn.Conv3d, 3, (1, 2), 1, 3, 1, True, nn.InstanceNorm3d,
                        {"eps": 1e-5, "affine": True}, None, None, nn.LeakyReLU,
                        {"inplace": True}, deep_supervision=False).eval()
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.05 * torch.randn_like(p))
    scan = torch.randn(13, 10, 21) + 0.5 * torch.linspace(-3, 3, 21)
    tensors = {name: p.detach().clone() for name, p in net.named_parameters()}
    tensors["scan"] = scan
    image = ((scan - scan.mean()) / scan.std(unbiased=False))[None, None]
    with torch.no_grad():
        for mode, overlap in (("constant", 0.25), ("gaussian", 0.5)):
            out = sliding_window_inference(image, (8, 8, 8), 1, net, overlap=overlap, mode=mode)
            tensors[mode] = out[0].contiguous()
    save_file(tensors, sys.argv[1])


if __name__ == "__main__":
    main()
