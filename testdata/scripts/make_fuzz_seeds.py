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
    """io/itk/protocol.h: status, dtype, axes, channels, compressed, sandbox, ..."""
    count = n[0] * n[1] * n[2] * channels * width
    return struct.pack("<8s6I3qQ3d3d9d40s280s", b"VOLTITK2", 0, dtype, axes, channels, 1, 3, *n, count, *spacing,
                       -12.5, 30.25, 7, 1, 0, 0, 0, -1, 0, 0, 0, 1, b"MetaImage", b"")


save("itk/scan", helper_answer((6, 5, 4), 4, 2))
save("itk/colours", helper_answer((6, 7, 1), 1, 1, 3, 2))
META = "ObjectType = Image\nNDims = %d\nDimSize = %s\nElementType = MET_SHORT\n%sElementDataFile = %s\n"
PLACE = "TransformMatrix = 0 1 0 1 0 0 0 0 -1\nOffset = 1 2 3\nElementSpacing = 1 1.5 2\n"
NRRD = "NRRD0004\n# comment\ntype: short\ndimension: %d\n%ssizes: %s\nencoding: %s\nkey:=value\n%s\n"
save("text_header/mha", (META % (3, "4 3 2", PLACE + "AnatomicalOrientation = LPS\n", "LOCAL")).encode() + bytes(48))
save("text_header/mhd", (META % (2, "4 3", "BinaryData = True\nCompressedData = True\n", "x y.zraw")).encode())
save("text_header/mhd-list", (META % (3, "4 3 2", PLACE, "LIST\na.raw\nb.raw")).encode())
save("text_header/mhd-pattern", (META % (4, "4 3 2 2", "", "a%03d.raw 1 9 2")).encode())
save("text_header/nrrd", (NRRD % (3, "space: LAS\nspace directions: (1,0,0) (0,1.5,0) (0,0,2)\nspace origin: (1,2,3)\n",
                                 "4 3 2", "raw", "")).encode() + bytes(48))
save("text_header/nrrd-list", (NRRD % (4, "space: left-anterior-superior-time\nspace directions: none (1,0,0,0) "
                                          "(0,1,0,0) (0,0,1,0)\nkinds: list domain domain domain\nspace units: \"mm\" "
                                          "\"mm\" \"mm\" \"s\"\n", "2 4 3 2", "gzip", "data file: LIST\na.gz\nb.gz\n")).encode())
save("text_header/nrrd-axes", (NRRD % (2, "spacings: 1 nan\naxis mins: 1 2\naxis maxs: 3 4\ncenters: node cell\n", "4 3",
                                      "txt", "data file: a%d.txt 1 2 1\n")).encode())


def pair(header, image):
    return struct.pack("<H", len(header)) + header + image


half = nifti1(magic=b"ni1\0")
save("pair/plain", pair(half[:108] + bytes(4) + half[112:348], voxels[:120]))
save("pair/gzip", pair(gzip.compress(half[:108] + bytes(4) + half[112:348], mtime=0), gzip.compress(voxels[:120], mtime=0)))
save("pair/extension", pair(half[:108] + bytes(4) + half[112:348] + struct.pack("<4Bii8s", 1, 0, 0, 0, 16, 6, b"words"),
                            voxels[:120]))
save("pair/short", pair(half[:108] + bytes(4) + half[112:348], voxels[:100]))
save("itk/reversed", helper_answer((6, 5, 4), 9, 4, spacing=(-1, 1, 2)) + b"x")

pictures = out.parent / "pictures"  # of make_pictures.py
for folder, names in {"png": ["grey2.png", "interlaced.png", "rgba.png", "transparent.png"],
                      "bmp": ["palette4.bmp", "runs4.bmp", "runs8.bmp", "fields16.bmp", "rgb32.bmp", "core4.bmp"],
                      "gif": ["greys.gif", "interlaced.gif", "moving.gif"],
                      "jpeg": ["grey.jpg", "rgb.jpg", "progressive.jpg", "turned.jpg", "cmyk.jpg"]}.items():
    for name in names:
        save(folder + "/" + name, (pictures / name).read_bytes())

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

largest = "remove_all_but_largest_component_from_segmentation"
save("postprocess/steps.json", json.dumps({
    "postprocessing_fns": [largest, largest],
    "postprocessing_kwargs": [{"labels_or_regions": [1, 2, 3]}, {"labels_or_regions": 1}]}).encode())
save("name_map/map.json", json.dumps({
    "encoder.*.conv.weight": "net.*.weight", "head.**": "seg.**", "a.bias": "=0"}).encode())
save("labels/snap", b'\0# IDX\n    0     0    0    0        0  0  0    "Clear Label"\n'
                    b'    1   255    0    0        1  1  1    "liver"\n')
save("labels/ctbl", b'\1# names\n0 background 0 0 0 0\n1 left_kidney 10 20 30 255\n2 "b" 1 2 3 255\n')
save("labels/segments", b"\2NRRD0004\nSegment0_Color:=0.5 0.2 1\nSegment0_LabelValue:=3\n"
                        b"Segment0_Name:=liver\nSegment0_Layer:=0\n\n")


def npz(name, descr, elements):
    header = "{'descr': '%s', 'fortran_order': False, 'shape': (2, 2, 3, 2), }" % descr
    header = header.ljust(117) + "\n"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo("probabilities.npy"),
                         b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header.encode() + elements)
    save(name, buffer.getvalue())


npz("npz/single.npz", "<f4", struct.pack("<24f", *[i / 24 for i in range(24)]))
npz("npz/half.npz", "<f2", struct.pack("<24e", *[i / 24 for i in range(24)]))
save("yaml/config", b'a: 1\nt:\n  - _target_: X\n    keys: "@image"\n    p: [1.5,\n      2]\n  - {a: {b: []}}\n')
