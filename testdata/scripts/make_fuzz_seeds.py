#!/usr/bin/env python3
"""Writes the seed files of the io fuzz targets to testdata/fuzz. Standard library only."""
import gzip
import io
import json
import pathlib
import struct
import zipfile

out = pathlib.Path(__file__).resolve().parent.parent / "fuzz"


def save(name, data):
    path = out / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def nifti1(order="<", code=4, bits=16, magic=b"n+1\0", dims=(3, 3, 4, 5, 1, 1, 1, 1), slope=1.0, extension=b""):
    return struct.pack(order + "i35xB8h3f4h8f3fhBB4fii80s24shh6f12f16s4s", 348, 0, *dims, 0, 0, 0, 0, code, bits, 0,
                       1, 2, 3, 4, 0, 0, 0, 0, 352 + len(extension), slope, 0, 0, 0, 10, 0, 0, 0, 0, 0, 0, b"seed", b"",
                       1, 1, 0, 0, 0, -1, -2, -3, 2, 0, 0, -1, 0, 3, 0, -2, 0, 0, 4, -3, b"", magic) \
        + struct.pack("4B", bool(extension), 0, 0, 0) + extension


def nifti2(order="<", code=16, bits=32):
    return struct.pack(order + "i8shh8q3d8dq2d5d2q80s24sii6d12diii16sB15x", 540, b"n+2\0\r\n\x1a\n", code, bits,
                       4, 2, 3, 2, 2, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 544, 1, 0, 0, 0, 0, 0, 0, 0, 0, b"", b"",
                       1, 0, 0, 0, 0, 0, 0, 0, *[0] * 12, 0, 2, 0, b"", 0) + bytes(4)


voxels = bytes(i * 7 % 256 for i in range(480))
plain = nifti1() + voxels[:120]
save("nifti/plain", plain)
save("nifti/big-endian", nifti1(">") + voxels[:120])
save("nifti/scaled-float64", nifti1(code=64, bits=64, slope=0.5) + bytes(480))
save("nifti/uint8-4d", nifti1(code=2, bits=8, dims=(4, 3, 4, 1, 5, 1, 1, 1)) + voxels[:60])
save("nifti/extension", nifti1(extension=struct.pack("<ii24s", 32, 6, b"words")) + voxels[:120])
save("nifti/two", nifti2() + voxels[:96])
save("nifti/two-big-endian", nifti2(">") + voxels[:96])
save("nifti/gzip", gzip.compress(plain, mtime=0))
save("gzip/one", gzip.compress(b"voxels " * 100, mtime=0))
save("gzip/members", gzip.compress(b"a" * 300, mtime=0) + gzip.compress(b"", mtime=0) + gzip.compress(voxels, mtime=0))
save("gzip/stored", gzip.compress(voxels, 0, mtime=0))
save("gzip/trailing", gzip.compress(plain, mtime=0) + bytes(20))


def safetensors(header, data):
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


save("safetensors/two", safetensors({"__metadata__": {"format": "pt"},
                                     "w": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
                                     "step": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]}}, voxels[:32]))
save("safetensors/checksum", safetensors({"__metadata__": {"volt_crc32": "00000000"}}, b""))
save("json/dataset", json.dumps({"channel_names": {"0": "T1"}, "labels": {"background": 0, "anterior": [1, 2]},
                                 "numTraining": 260, "file_ending": ".nii.gz"}, indent=4).encode())
save("json/plan", json.dumps({"patch_size": [40, 56, 40], "spacing": [1.0, 0.5, 1e-3], "on": True, "none": None,
                              "text": "\u00e9\n"}).encode())


def helper_answer(n, dtype, width, channels=1, axes=3, spacing=(0.7, 1.25, 2.5)):
    """io/itk/protocol.h: status, dtype, axes, channels, compressed, reserved, ..."""
    count = n[0] * n[1] * n[2] * channels * width
    return struct.pack("<8s6I3qQ3d3d9d40s280s", b"VOLTITK1", 0, dtype, axes, channels, 1, 0, *n, count, *spacing,
                       -12.5, 30.25, 7, 1, 0, 0, 0, -1, 0, 0, 0, 1, b"MetaImage", b"")


save("itk/scan", helper_answer((6, 5, 4), 4, 2))
save("itk/colours", helper_answer((6, 7, 1), 1, 1, 3, 2))
save("itk/reversed", helper_answer((6, 5, 4), 9, 4, spacing=(-1, 1, 2)) + b"x")


def model_zip(prefix, method, names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(prefix + name), "{}" if name.endswith("json") else "weights " * 9, method)
    return data.getvalue()


results = ["plans.json", "dataset.json", "fold_0/checkpoint_final.pth", "fold_1/checkpoint_final.pth"]
save("model_zip/results", model_zip("D/nnUNetTrainer__nnUNetPlans__2d/", zipfile.ZIP_DEFLATED, results))
save("model_zip/stored", model_zip("", zipfile.ZIP_STORED, results))
save("model_zip/bundle", model_zip("b/", zipfile.ZIP_DEFLATED, ["configs/metadata.json", "configs/inference.json", "models/model.pt"]))
bundles = out.parent / "bundles"
for name in ("unet", "dynunet"):  # by make_bundles.py
    save(f"bundle/{name}.json", (bundles / name / "configs" / "inference.json").read_bytes())
save("yaml/config", b'a: 1\nt:\n  - _target_: X\n    keys: "@image"\n    p: [1.5,\n      2]\n  - {a: {b: []}}\n')
