#!/usr/bin/env python3
"""Small MONAI bundles of UNet and DynUNet with MONAI's own masks; whole modules as torch.save writes them.

usage: make_bundles.py OUT
OUT/bundles/NAME: configs/, models/model.pt, scan_0000.nii.gz ..., mask.nii.gz: what the bundle's own transforms, run by
monai.bundle.ConfigParser, make of the scan. Scans have the spacing that the bundle resamples to, and the size of its
window in an orientation that is not the bundle's: so there is one right mask, without interpolation.
OUT/bundles/whole.pt, whole_legacy.pt, script.ts: the same UNet, saved by the three ways that need Python to load.
Versions: torch 2.14 (CPU), monai 1.6.1, nibabel 5.3.
"""
import json, os, sys
import nibabel as nib
import numpy as np
import torch
from monai.bundle import ConfigParser

torch.set_num_threads(1)
METADATA = {"name": "Tiny organs", "version": "0.1.0", "monai_version": "1.6.1", "task": "Segmentation"}


def metadata(inputs, outputs, shape):
    return dict(METADATA, network_data_format={
        "inputs": {"image": {"type": "image", "num_channels": len(inputs), "spatial_shape": shape,
                             "channel_def": {str(i): n for i, n in enumerate(inputs)}}},
        "outputs": {"pred": {"type": "image", "num_channels": len(outputs),
                             "channel_def": {str(i): n for i, n in enumerate(outputs)}}}})


def unet():
    inference = {
        "imports": ["$import glob"], "device": "$torch.device('cpu')", "image_key": "image", "window": [16, 24, 20],
        "network_def": {"_target_": "UNet", "spatial_dims": 3, "in_channels": 1, "out_channels": "@classes", "channels": [4, 8, 12],
                        "strides": [2, 2], "kernel_size": 3, "up_kernel_size": 3, "num_res_units": 2, "norm": "batch",
                        "act": ["prelu", {"init": 0.2}]},
        "classes": "$3", "network": "$@network_def.to(@device)",
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": "@image_key"},
            {"_target_": "EnsureChannelFirstd", "keys": "@image_key"},
            {"_target_": "Orientationd", "keys": "@image_key", "axcodes": "RAS"},
            {"_target_": "Spacingd", "keys": "@image_key", "pixdim": "$(1.5, 1.25, 2.0)", "mode": "bilinear"},
            {"_target_": "ScaleIntensityRanged", "keys": "@image_key", "a_min": -57, "a_max": 164, "b_min": 0.0, "b_max": 1.0, "clip": True},
            {"_target_": "EnsureTyped", "keys": "@image_key"}]},
        "inferer": {"_target_": "SlidingWindowInferer", "roi_size": "@window", "sw_batch_size": 4, "overlap": 0.5},
        "postprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "softmax": True},
            {"_target_": "AsDiscreted", "keys": "pred", "argmax": True}]}}
    return metadata(["image"], ["background", "spleen", "tumor"], [16, 24, 20]), inference, 1


def dynunet():
    inference = {
        "network_def": {"_target_": "monai.networks.nets.DynUNet", "spatial_dims": 3, "in_channels": 2, "out_channels": 2,
                        "kernel_size": [[3, 3, 1], [3, 3, 3], 3], "strides": [1, [2, 2, 1], 2],
                        "upsample_kernel_size": [[2, 2, 1], 2], "filters": [4, 6, 8], "res_block": True,
                        "norm_name": "instance", "deep_supervision": False},
        "preprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "LoadImaged", "keys": ["image"], "ensure_channel_first": True},
            {"_target_": "Orientationd", "keys": ["image"], "axcodes": "LPS"},
            {"_target_": "Spacingd", "keys": ["image"], "pixdim": [1, 1, 3], "mode": ["bilinear"]},
            {"_target_": "NormalizeIntensityd", "keys": ["image"], "subtrahend": [-30.0, -32.0], "divisor": [225.0, 200.0], "channel_wise": True},
            {"_target_": "ScaleIntensityd", "keys": "image", "_disabled_": True}]},
        "inferer": {"_target_": "monai.inferers.SlidingWindowInferer", "roi_size": [16, 16, 8], "overlap": 0.25},
        "postprocessing": {"_target_": "Compose", "transforms": [
            {"_target_": "Activationsd", "keys": "pred", "sigmoid": True},
            {"_target_": "AsDiscreted", "keys": "pred", "threshold": 0.5}]}}
    return metadata(["T1", "T2"], ["whole tumor", "tumor core"], [16, 16, 8]), inference, 2


def train(net, channels, outputs, shape):
    """A moment of training on blobs, so that few voxels are near-ties and batch norms have statistics."""
    rng = np.random.default_rng(0)
    optimizer = torch.optim.Adam(net.parameters(), 0.01)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    net.train()
    for _ in range(400):
        center = rng.uniform(-0.4, 0.4, 3)[:, None, None, None]
        r = np.sqrt(((grid - center) ** 2).sum(0))
        label = (r < 0.8).astype(int) + (r < 0.4)
        image = torch.tensor(label[None, None] * 0.4 + rng.normal(0, 0.1, (1, channels, *shape)), dtype=torch.float32)
        optimizer.zero_grad()
        out = net(image)
        if outputs == 3:
            loss = torch.nn.functional.cross_entropy(out, torch.tensor(label[None]))
        else:
            target = torch.tensor(np.stack([label > 0, label > 1])[None].astype(np.float32))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(out, target)
        loss.backward()
        optimizer.step()
    net.eval()


def scan(folder, channels, spacing, shape, codes):
    """Blobs in HU, stored with axes that point to `codes`; shape and spacing are those of RAS."""
    rng = np.random.default_rng(5)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij"))
    r = np.sqrt(((grid - np.array([0.2, -0.3, 0.1])[:, None, None, None]) ** 2).sum(0))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = [-10, 5, 30]
    files = []
    for c in range(channels):
        data = -30 + 90 * (r < 0.75) + 90 * (r < 0.4) + rng.normal(0, 12, shape)
        image = nib.Nifti1Image(data.astype(np.int16), affine)
        to = nib.orientations.axcodes2ornt(codes)
        image = image.as_reoriented(nib.orientations.ornt_transform(nib.io_orientation(affine), to))
        files.append(f"{folder}/scan_{c:04d}.nii.gz")
        nib.save(image, files[-1])
    return files


def bundle(folder, made):
    meta, inference, channels = made
    os.makedirs(f"{folder}/configs", exist_ok=True)
    os.makedirs(f"{folder}/models", exist_ok=True)
    json.dump(meta, open(f"{folder}/configs/metadata.json", "w"), indent=4)
    json.dump(inference, open(f"{folder}/configs/inference.json", "w"), indent=4)
    parser = ConfigParser(inference)
    torch.manual_seed(0)
    net = parser.get_parsed_content("network_def")
    shape = meta["network_data_format"]["inputs"]["image"]["spatial_shape"]
    train(net, channels, meta["network_data_format"]["outputs"]["pred"]["num_channels"], shape)
    torch.save(net.state_dict(), f"{folder}/models/model.pt")
    spacing = [t for t in inference["preprocessing"]["transforms"] if t["_target_"] == "Spacingd"][0]["pixdim"]
    spacing = eval(spacing[1:]) if isinstance(spacing, str) else spacing
    files = scan(folder, channels, spacing, shape, ("A", "L", "I") if channels == 1 else ("R", "S", "A"))
    data = parser.get_parsed_content("preprocessing")({"image": files if channels > 1 else files[0]})
    image = data["image"]
    with torch.no_grad():
        pred = parser.get_parsed_content("inferer")(image[None], net)[0]
    out = parser.get_parsed_content("postprocessing")({"pred": pred})["pred"].numpy()
    mask = out[0] if channels == 1 else np.where(out[1] > 0, 2, np.where(out[0] > 0, 1, 0))
    back = nib.Nifti1Image(mask.astype(np.uint8), image.affine.numpy())
    stored = nib.load(files[0])
    turn = nib.orientations.ornt_transform(nib.io_orientation(back.affine), nib.io_orientation(stored.affine))
    back = back.as_reoriented(turn)
    assert back.shape == stored.shape and np.allclose(back.affine, stored.affine), (back.shape, stored.shape)
    nib.save(nib.Nifti1Image(back.get_fdata().astype(np.uint8), stored.affine), f"{folder}/mask.nii.gz")
    print(folder, np.bincount(mask.astype(int).ravel()))
    return net


out = sys.argv[1] + "/bundles"
net = bundle(f"{out}/unet", unet())
bundle(f"{out}/dynunet", dynunet())
torch.save(net, f"{out}/whole.pt")
torch.save(net, f"{out}/whole_legacy.pt", _use_new_zipfile_serialization=False)
torch.jit.script(net).save(f"{out}/script.ts")
# seeds of tests/fuzz/fuzz_torch.c
tiny = torch.nn.Sequential(torch.nn.Conv3d(1, 1, 1), torch.nn.PReLU())
torch.save(tiny, sys.argv[1] + "/fuzz/torch/module.pt")
torch.save({"epoch": 1, "model": tiny}, sys.argv[1] + "/fuzz/torch/module_legacy.pt", _use_new_zipfile_serialization=False)
