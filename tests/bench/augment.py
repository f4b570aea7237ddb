#!/usr/bin/env python3
"""Samples per second of one core: volt's augmentation beside nnU-Net's own (batchgeneratorsv2), alternating in one run.

usage: augment.py --volt build/volt [--rounds 3] [--seconds 12] [--only TEXT] [--json FILE]
Needs nnunetv2 and batchgeneratorsv2. Both work on one thread on a box with margin that is in memory (nnU-Net's initial patch: waves and
three nested labels), draw with nnU-Net's probabilities and make the network's patch; nnU-Net's list of transforms comes from
nnUNetTrainer.get_training_transforms, without deep supervision's targets, which volt makes with the loss. A round times as many samples
as fit its seconds, other ones each round; the table gives the mean over all rounds. Nothing else may run meanwhile.
"""
import argparse, json, os, statistics, subprocess, time

os.environ["OMP_NUM_THREADS"] = "1"
os.environ.setdefault("nnUNet_raw", "/nowhere"), os.environ.setdefault("nnUNet_preprocessed", "/nowhere"), os.environ.setdefault("nnUNet_results", "/nowhere")
import numpy as np
import torch
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from nnunetv2.training.data_augmentation.compute_initial_patch_size import get_patch_size
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

WORK = [("BraTS, 3D", (128, 128, 128), 4), ("CT, 3D", (128, 128, 128), 1), ("hippocampus, 3D", (40, 56, 40), 1),
        ("prostate, dummy 2D", (20, 320, 256), 2), ("CT, 2D", (512, 512), 1)]


def nnunet_pipeline(patch):
    """(transforms, initial patch), as nnUNetTrainer configures them."""
    dummy = len(patch) == 3 and max(patch) / patch[0] > 3
    wide = dummy or (len(patch) == 2 and max(patch) / min(patch) <= 1.5)
    degrees = 180 if wide else 15 if len(patch) == 2 else 30
    angle = (-degrees / 180 * np.pi, degrees / 180 * np.pi)
    initial = get_patch_size(patch, angle, angle, angle, (0.85, 1.25))
    if dummy:
        initial[0] = patch[0]
    axes = tuple(range(len(patch)))
    return nnUNetTrainer.get_training_transforms(patch, angle, None, axes, dummy, use_mask_for_norm=None), [int(i) for i in initial]


def box(initial, channels):
    """The same content as volt bench augment's."""
    n = [1] * (3 - len(initial)) + list(initial)
    at = [np.arange(i, dtype=np.float32).reshape([-1 if a == b else 1 for b in range(3)]) for a, i in enumerate(n)]
    r = sum(((x - 0.5 * (i - 1)) / (0.5 * max(i - 1, 1))) ** 2 for x, i in zip(at, n))
    labels = np.select([r < 0.05, r < 0.12, r < 0.25], [3, 2, 1], 0).astype(np.int16)
    image = np.stack([np.sin(0.25 * at[0]) * np.cos(0.2 * at[1]) + np.sin(0.25 * at[2]) + 0.1 * c + labels for c in range(channels)])
    return torch.from_numpy(image.astype(np.float32, copy=False).reshape(channels, *initial)), torch.from_numpy(labels.reshape(1, *initial))


def choose_blurs(transforms, patch):
    """Its blur times two methods when it first meets a size; that happens once, so it happens here, off the clock."""
    for t in transforms.transforms:
        blur = getattr(t, "transform", None)
        if isinstance(blur, GaussianBlurTransform):
            blur.benchmark_num_runs = 2
            for sigma in np.linspace(0.5, 1, 11):
                for axis in range(len(patch)):
                    blur._benchmark_wrapper(torch.rand((1, *patch)), float(sigma), axis)


def peer_round(transforms, image, labels, seconds):
    """(samples, seconds)"""
    done, spent = 0, 0.0
    while spent < seconds:
        x, y = image.clone(), labels.clone()  # it works in place; copies are not timed
        start = time.perf_counter()
        transforms(image=x, segmentation=y)
        spent += time.perf_counter() - start
        done += 1
    return done, spent


def volt_round(volt, patch, channels, seconds, seed):
    out = subprocess.run([volt, "bench", "augment", "--patch", ",".join(map(str, patch)), "--channels", str(channels), "--seconds", str(seconds),
                          "--seed", str(seed), "--json"], check=True, stdout=subprocess.PIPE, text=True).stdout
    got = json.loads(out)
    return got["samples"], got["seconds"]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--volt", required=True), a.add_argument("--rounds", type=int, default=3), a.add_argument("--seconds", type=float, default=12)
    a.add_argument("--only", default=""), a.add_argument("--json")
    o = a.parse_args()
    torch.set_num_threads(1)
    results = []
    print("| sample | volt, per second | batchgeneratorsv2, per second | volt is |\n|---|---|---|---|", flush=True)
    for name, patch, channels in WORK:
        if o.only not in name:
            continue
        transforms, initial = nnunet_pipeline(patch)
        choose_blurs(transforms, patch)
        image, labels = box(initial, channels)
        volt, peer = [], []
        for r in range(o.rounds):
            volt.append(volt_round(o.volt, patch, channels, o.seconds, r))
            peer.append(peer_round(transforms, image, labels, o.seconds))
        v, p = (sum(n for n, _ in x) / sum(s for _, s in x) for x in (volt, peer))
        rounds = [(a[0] / a[1]) / (b[0] / b[1]) for a, b in zip(volt, peer)]
        results.append(dict(name=name, patch=patch, channels=channels, volt=v, peer=p, ratio=v / p, rounds=rounds,
                            samples=[sum(n for n, _ in volt), sum(n for n, _ in peer)]))
        print(f"| {name}, {' x '.join(map(str, patch))}, {channels} channel{'s' * (channels > 1)} | {v:.2f} | {p:.2f} | "
              f"{v / p:.1f}x ({min(rounds):.1f} to {max(rounds):.1f}) |", flush=True)
    if not results:
        a.error(f"no sample is called '{o.only}'")
    print(f"\nmedian ratio {statistics.median(r['ratio'] for r in results):.1f}")
    if o.json:
        with open(o.json, "w") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
