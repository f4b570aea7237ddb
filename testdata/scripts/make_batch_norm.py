#!/usr/bin/env python3
"""A small network with batch norms as PyTorch runs it: testdata/nets3d/batch_norm.safetensors.

usage: make_batch_norm.py OUT     (needs torch, safetensors)

In plain (n, c, d, h, w) order:
  input, labels (int16), w.NAME initial parameters and running statistics; logits of the first
  forward pass in training mode, s.NAME the running statistics after it, g.NAME its
  gradients; loss.STEP and gradient norm.STEP of ten steps, f.NAME parameters and running
  statistics afterwards; eval the logits in evaluation mode with those.
"""
import sys

import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F

STEPS = 10


class Net(nn.Module):
    """Norms with an activation behind them, without one, before a residual addition, behind a
    convolution with and without bias, of a value that is read twice, and next to an instance
    norm of the same value; other momenta and eps than torch's defaults."""

    def __init__(self):
        super().__init__()
        self.a = nn.Conv3d(2, 5, 3, padding=1)
        self.an = nn.BatchNorm3d(5)
        self.b = nn.Conv3d(5, 6, 3, stride=2, padding=1, bias=False)
        self.bn = nn.BatchNorm3d(6, momentum=0.3)
        self.s = nn.Conv3d(5, 6, 1, stride=2, bias=False)
        self.sn = nn.BatchNorm3d(6, eps=1e-3)
        self.up = nn.ConvTranspose3d(6, 5, 2, 2)
        self.un = nn.BatchNorm3d(5)
        self.c = nn.Conv3d(10, 4, 3, padding=1)
        self.cn = nn.BatchNorm3d(4)
        self.ci = nn.InstanceNorm3d(4, affine=True)
        self.head = nn.Conv3d(4, 3, 1)

    def forward(self, x):
        a = F.leaky_relu(self.an(self.a(x)), 0.01)
        r = F.relu(self.bn(self.b(a)) + self.sn(self.s(a)))
        u = self.un(self.up(r))
        c = self.c(torch.cat([a, u + u], 1))
        return self.head(F.relu(self.cn(c)) + F.leaky_relu(self.ci(c), 0.01))


def dice_ce(logits, target):
    """nnU-Net's DC_and_CE_loss with batch_dice and its defaults."""
    p = torch.softmax(logits, 1)
    onehot = torch.zeros_like(p).scatter_(1, target.unsqueeze(1), 1)
    inter = (p * onehot).sum([0, 2, 3, 4])[1:]
    total = p.sum([0, 2, 3, 4])[1:] + onehot.sum([0, 2, 3, 4])[1:]
    return F.cross_entropy(logits, target) - ((2 * inter + 1e-5) / (total + 1e-5)).mean()


def randomize(net):
    """Values that float32 holds: what is computed from them in float64 is exact."""
    with torch.no_grad():
        for m in net.modules():
            if isinstance(m, (nn.BatchNorm3d, nn.InstanceNorm3d)):
                m.weight.normal_(1, 0.2)
                m.bias.normal_(0, 0.1)
            if isinstance(m, nn.BatchNorm3d):
                m.running_mean.normal_(0, 0.5)
                m.running_var.uniform_(0.5, 2)
    return net.float().double()


def state(net):
    return {k: v.clone().float() for k, v in net.state_dict().items()
            if not k.endswith("num_batches_tracked")}


def main():
    torch.manual_seed(21)
    torch.set_num_threads(1)
    torch.backends.mkldnn.enabled = False
    net = randomize(Net())
    x = torch.randn(3, 2, 4, 6, 8) + 0.3
    labels = torch.randint(0, 3, (3, 4, 6, 8))
    t = {"input": x, "labels": labels.short()}
    t.update({"w." + k: v for k, v in state(net).items()})
    opt = torch.optim.SGD(net.parameters(), 1e-2, momentum=0.99, nesterov=True,
                          weight_decay=3e-5)
    for step in range(STEPS):
        opt.zero_grad()
        logits = net(x.double())
        total = dice_ce(logits, labels)
        total.backward()
        if step == 0:
            t["logits"] = logits.detach().float()
            t.update({"s." + k: v for k, v in state(net).items() if ".running_" in k})
            t.update({"g." + k: p.grad.clone().float() for k, p in net.named_parameters()})
        t[f"norm.{step}"] = nn.utils.clip_grad_norm_(net.parameters(), 12).reshape(1)
        opt.step()
        t[f"loss.{step}"] = total.detach().reshape(1)
    t.update({"f." + k: v for k, v in state(net).items()})
    t["eval"] = net.eval()(x.double()).detach().float()
    order = sorted(t, key=lambda k: -t[k].element_size())
    save_file({k: t[k].contiguous() for k in order}, sys.argv[1] + "/batch_norm.safetensors")


if __name__ == "__main__":
    main()
