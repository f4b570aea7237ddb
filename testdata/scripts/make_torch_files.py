#!/usr/bin/env python3
"""Files of torch.save, zipfile, numpy and pickle for the readers of archives and pickles.

usage: make_torch_files.py OUT
OUT/models: the same state dict in torch's two forms (zip.pth, legacy.pth) and its numbers as float32
(numbers.safetensors, by the names in the files); a data parallel model's (wrapped.pth); a pickle of
every kind of value (values.pkl, protocols 2 and 4 one after the other); archives by Python's zipfile
(archive.zip: stored, deflated, zip64 forced) and numpy (arrays.npz).
OUT/fuzz: seeds of the fuzz targets zip, pickle and torch.
"""
import collections, os, pickle, shutil, sys, zipfile
import numpy as np
import torch
from safetensors.torch import save_file


def state():
    g = torch.Generator().manual_seed(3)
    draw = lambda *shape: torch.randn(*shape, generator=g)
    shared, big = draw(4, 3, 2), draw(40)
    return collections.OrderedDict([
        ("conv.weight", shared),
        ("alias.weight", shared),
        ("part", big[7:19].view(3, 4)),
        ("turned", draw(3, 5).t()),
        ("last", draw(2, 3, 4, 5).to(memory_format=torch.channels_last)),
        ("half", draw(6).half()),
        ("brain", draw(6).bfloat16()),
        ("double", draw(6).double()),
        ("parameter", torch.nn.Parameter(draw(2, 2))),
        ("scalar", draw(())),
        ("none", draw(0, 3)),
    ])


def checkpoint():
    return {"network_weights": state(),
            "optimizer_state": {"state": {0: {"momentum_buffer": torch.ones(5)}}, "param_groups": [{"lr": 0.01}]},
            "logging": {"mean_fg_dice": [np.float64(0.5), np.float32(0.25)], "lrs": [0.01, 0.009]},
            "_best_ema": np.float32(0.75), "current_epoch": 5, "trainer_name": "nnUNetTrainer",
            "init_args": {"configuration": "3d_fullres", "fold": 0, "device": torch.device("cpu"),
                          "plans": {"patch_size": (8, 16, 16), "spacing": [np.float64(1.5), 1, 1], "none": None, "yes": True}},
            "inference_allowed_mirroring_axes": (0, 1, 2)}


def values():
    kept = ["kept", "twice"]
    return {"none": None, "true": True, "false": False, "small": 5, "byte": 200, "word": 60000, "negative": -7,
            "long": 1 << 40, "huge": 1 << 90, "pi": 3.25, "text": "Zähler ∑", "bytes": b"\x00\xff", "tuple": (1, 2, 3, 4),
            "one": (1,), "two": (1, 2), "three": (1, 2, 3), "empty": [(), [], {}], "list": list(range(5)), "set": {7},
            "kept": kept, "again": kept, 3: "three", "ordered": collections.OrderedDict([("b", 1), ("a", 2)]),
            "float32": np.float32(1.5), "int16": np.int16(-3), "uint8": np.uint8(250)}


def main():
    out = sys.argv[1]
    folder = os.path.join(out, "models")
    os.makedirs(folder, exist_ok=True)
    at = lambda name: os.path.join(folder, name)
    torch.save(checkpoint(), at("zip.pth"))
    torch.save(checkpoint(), at("legacy.pth"), _use_new_zipfile_serialization=False)
    torch.save({"module." + k: v for k, v in state().items()}, at("wrapped.pth"))
    save_file({k: v.detach().float().contiguous().clone() for k, v in state().items()}, at("numbers.safetensors"))
    with open(at("values.pkl"), "wb") as f:
        pickle.dump(values(), f, protocol=2)
        pickle.dump(values(), f, protocol=4)
    info = lambda name: zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
    with zipfile.ZipFile(at("archive.zip"), "w") as z:
        z.writestr(info("stored.txt"), b"as it is", zipfile.ZIP_STORED)
        z.writestr(info("folder/deflated.txt"), b"again and " * 100, zipfile.ZIP_DEFLATED)
        z.writestr(info("empty"), b"")
        with z.open(info("wide.txt"), "w", force_zip64=True) as f:
            f.write(b"sixty-four bits")
        z.comment = b"PK\x05\x06 a comment that looks like an end"
    np.savez_compressed(at("arrays.npz"), a=np.arange(24, dtype="<f4").reshape(2, 3, 4), b=np.zeros((0, 2)))
    for target, names in {"zip": ["archive.zip", "arrays.npz"], "pickle": ["values.pkl"],
                          "torch": ["zip.pth", "legacy.pth", "wrapped.pth"]}.items():
        os.makedirs(os.path.join(out, "fuzz", target), exist_ok=True)
        for name in names:
            shutil.copy(at(name), os.path.join(out, "fuzz", target, name))


main()
