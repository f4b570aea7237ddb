#!/usr/bin/env python3
"""Small networks as PyTorch runs them: testdata/nets3d/*.safetensors.

usage: make_nets3d.py OUT     (needs torch, safetensors, dynamic-network-architectures, monai)

Each file holds, in plain (n, c, d, h, w) order with d = 1 for 2-D networks:
  input, labels (int16), w.NAME initial parameters, logits.I outputs, level.I losses, weights of
  the levels, total, g.NAME gradients; where there are ten training steps also their loss.STEP
  and gradient norm.STEP, and f.NAME the parameters afterwards.
updates.safetensors holds ten steps of torch's optimisers on one vector.
"""
import sys

import torch
from dynamic_network_architectures.architectures.unet import (PlainConvUNet,
                                                              ResidualEncoderUNet)
from monai.networks.nets import DynUNet, UNet
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

torch.set_num_threads(1)
torch.backends.mkldnn.enabled = False  # plain loops: closest to exact arithmetic


def dice_ce(logits, target):
    """nnU-Net's DC_and_CE_loss with batch_dice and its defaults."""
    ce = F.cross_entropy(logits, target)
    p = torch.softmax(logits, 1)
    onehot = torch.zeros_like(p).scatter_(1, target.unsqueeze(1), 1)
    axes = [0] + list(range(2, p.ndim))
    inter = (p * onehot).sum(axes)[1:]
    total = p.sum(axes)[1:] + onehot.sum(axes)[1:]
    return ce - ((2 * inter + 1e-5) / (total + 1e-5).clip(1e-8)).mean()


def losses(outputs, labels, weights):
    values = []
    for o in outputs:
        small = F.interpolate(labels[:, None].double(), o.shape[2:], mode="nearest-exact")
        values.append(dice_ce(o, small[:, 0].long()))
    total = sum(w * v for w, v in zip(weights, values))
    return total, values


def as_5d(t):
    return t if t.ndim == 5 else t.unsqueeze(2)


def record(name, net, x, classes, steps, weights, out):
    """Runs in float64, so that the fixture is exact; starts from values that float32 holds."""
    with torch.no_grad():
        for key, p in net.named_parameters():
            if key.endswith("norm.bias") or (key.endswith("bias") and p.abs().max() == 0):
                p.normal_(0, 0.1)
            if key.endswith(("norm.weight", "adn.N.weight")):
                p.normal_(1, 0.2)
            if key.endswith("adn.A.weight"):
                p.uniform_(-0.3, 0.6)
    x = x.float()
    net = net.float().double()
    outputs = net(x.double())
    outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
    labels = torch.randint(0, classes, (x.shape[0],) + outputs[0].shape[2:])
    t = {"input": as_5d(x), "labels": labels.short(),
         "weights": torch.tensor(weights, dtype=torch.float64)}
    seen = {}
    for key, p in net.named_parameters():
        seen[key] = p
        t["w." + key] = p.detach().clone().float()
    total, values = losses(outputs, labels, weights)
    total.backward()
    for i, o in enumerate(outputs):
        t[f"logits.{i}"] = as_5d(o.detach()).float()
        t[f"level.{i}"] = values[i].detach().double().reshape(1)
    t["total"] = total.detach().double().reshape(1)
    for key, p in seen.items():
        t["g." + key] = torch.zeros_like(p) if p.grad is None else p.grad.clone()
    opt = torch.optim.SGD(net.parameters(), 1e-2, momentum=0.99, nesterov=True,
                          weight_decay=3e-5)
    for step in range(steps):
        opt.zero_grad()
        outputs = net(x.double())
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        total, _ = losses(outputs, labels, weights)
        total.backward()
        t[f"norm.{step}"] = nn.utils.clip_grad_norm_(net.parameters(), 12).detach().reshape(1)
        opt.step()
        t[f"loss.{step}"] = total.detach().reshape(1)
    if steps:
        for key, p in seen.items():
            t["f." + key] = p.detach()
    keep = ("level", "total", "loss", "norm", "weights")
    for key in t:
        if t[key].dtype == torch.float64 and not key.startswith(keep):
            t[key] = t[key].float()
        t[key] = t[key].contiguous()
    order = sorted(t, key=lambda k: -t[k].element_size())
    save_file({k: t[k] for k in order}, f"{out}/{name}.safetensors")


def unet(dims, features, kernels, strides, encoder, decoder, cin, classes, deep=True):
    conv, norm = (nn.Conv3d, nn.InstanceNorm3d) if dims == 3 else (nn.Conv2d, nn.InstanceNorm2d)
    return PlainConvUNet(cin, len(features), features, conv, kernels, strides, encoder, classes,
                         decoder, conv_bias=True, norm_op=norm,
                         norm_op_kwargs={"eps": 1e-5, "affine": True}, nonlin=nn.LeakyReLU,
                         nonlin_kwargs={"inplace": True}, deep_supervision=deep)


def residual(features, kernels, strides, blocks, decoder, cin, classes):
    return ResidualEncoderUNet(cin, len(features), features, nn.Conv3d, kernels, strides, blocks,
                               classes, decoder, conv_bias=True, norm_op=nn.InstanceNorm3d,
                               norm_op_kwargs={"eps": 1e-5, "affine": True},
                               nonlin=nn.LeakyReLU, nonlin_kwargs={"inplace": True},
                               deep_supervision=True)


class Zoo(nn.Module):
    """Every node kind: pools, upsamplings, additions, concatenations off the block and nested, a
    residual connection, a norm without activation, a softmax, values read three times."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv3d(2, 5, 3, padding=1)
        self.an = nn.InstanceNorm3d(5, eps=1e-5, affine=True)
        self.b = nn.Conv3d(5, 5, (1, 3, 3), padding=(0, 1, 1), bias=False)
        self.bn = nn.InstanceNorm3d(5, eps=1e-5, affine=True)
        self.c = nn.Conv3d(10, 4, 3, padding=1)
        self.d = nn.Conv3d(4, 3, 1)
        self.up = nn.ConvTranspose3d(4, 3, (1, 2, 2), (1, 2, 2))
        self.e = nn.Conv3d(17, 4, 3, padding=1)
        self.en = nn.InstanceNorm3d(4, eps=1e-5, affine=True)
        self.head = nn.Conv3d(4, 3, 1)

    def forward(self, x):
        a = F.leaky_relu(self.an(self.a(x)), 0.01)
        r = F.relu(self.bn(self.b(a)) + a)
        s = torch.softmax(r, 1)
        c = F.leaky_relu(self.c(torch.cat([F.max_pool3d(r, 2), F.avg_pool3d(s, 2)], 1)), 0.1)
        t = F.interpolate(self.up(c), scale_factor=(2, 1, 1), mode="nearest")
        u = torch.cat([F.interpolate(c, scale_factor=2, mode="trilinear"), t, r], 1)
        e = F.leaky_relu(self.en(self.e(torch.cat([u, s], 1))), 0.01)
        return [self.head(e + e), self.d(c)]


def main():
    out = sys.argv[1]
    torch.manual_seed(7)
    net = unet(3, [4, 6, 8], 3, [1, 2, 2], [2, 1, 2], [1, 2], 2, 3)
    record("unet3d", net, torch.randn(2, 2, 8, 12, 8), 3, 10, [2 / 3, 1 / 3], out)
    net = unet(3, [3, 5, 4], [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
               [[1, 1, 1], [1, 2, 2], [2, 2, 2]], [1, 1, 1], [1, 1], 1, 3)
    record("anisotropic", net, torch.randn(1, 1, 4, 12, 20), 3, 0, [0.6, 0.4], out)
    net = unet(2, [4, 5, 6], 3, [1, 2, 2], [1, 1, 1], [1, 1], 1, 2, deep=False)
    record("unet2d", net, torch.randn(3, 1, 16, 12), 2, 0, [1.0], out)
    record("zoo", Zoo(), torch.randn(2, 2, 4, 6, 8), 3, 0, [0.7, 0.3], out)
    updates(out)
    # skips: as they are, pooled, pooled and projected; the last stage keeps its channels
    net = residual([4, 6, 6], [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
                   [[1, 1, 1], [1, 2, 2], [2, 2, 2]], [1, 2, 2], [1, 1], 2, 3)
    record("residual", net, torch.randn(2, 2, 8, 12, 8), 3, 3, [2 / 3, 1 / 3], out)
    monai(out)


def monai(out):
    torch.manual_seed(11)
    # residual units, PReLU, norms without parameters: MONAI's defaults
    net = UNet(3, 2, 3, (4, 6, 8), (2, 2), num_res_units=2)
    record("monai3d", net, torch.randn(2, 2, 8, 12, 8), 3, 3, [1.0], out)
    # single convolutions, a slope per channel, wide kernels, strides that differ by axis
    net = UNet(2, 1, 2, (5, 5, 5), ((2, 1), (2, 4)), kernel_size=(5, 3), up_kernel_size=(3, 5),
               act=("PRELU", {"num_parameters": 5}), norm=("INSTANCE", {"affine": True}),
               bias=False, adn_ordering="AN")
    record("monai2d", net, torch.randn(2, 1, 16, 12), 2, 0, [1.0], out)
    # residual blocks; each decoder block has the kernel of the level below
    kernels = [[1, 3, 3], [3, 3, 3], [3, 3, 1]]
    strides = [[1, 1, 1], [1, 2, 2], [2, 2, 1]]
    net = DynUNet(3, 2, 3, kernels, strides, strides[1:], filters=[4, 6, 6], res_block=True,
                  trans_bias=True)
    record("dynunet", net, torch.randn(2, 2, 4, 12, 10), 3, 0, [1.0], out)


def updates(out):
    kinds = {
        "sgd": lambda p: torch.optim.SGD(p, 0.01, momentum=0.99, nesterov=True,
                                         weight_decay=3e-5),
        "adam": lambda p: torch.optim.Adam(p, 0.01, weight_decay=0.01),
        "adamw": lambda p: torch.optim.AdamW(p, 0.01, weight_decay=0.05),
    }
    t = {"start": torch.randn(50), "gradients": torch.randn(10, 50)}
    for name, make in kinds.items():
        p = nn.Parameter(t["start"].double().clone())
        opt = make([p])
        for g in t["gradients"]:
            p.grad = g.double().clone()
            opt.step()
        t[name] = p.detach().float()
    save_file(t, f"{out}/updates.safetensors")


if __name__ == "__main__":
    main()
