#!/usr/bin/env python3
"""Do nibabel and SimpleITK find the same voxels and the same place, to the bit, in two files?

usage: compare_nifti.py SOURCE COPY [SOURCE COPY ...]
Prints a line per difference and ends with 1; ends with 77 where the libraries are missing.
"""
import sys

try:
    import nibabel
    import numpy as np
    import SimpleITK as sitk
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)


def place(image):
    return image.GetSize(), image.GetOrigin(), image.GetSpacing(), image.GetDirection()


def differences(source, copy):
    a, b = nibabel.load(source), nibabel.load(copy)
    if a.affine.tobytes() != b.affine.tobytes():
        yield f"nibabel's affine\n{a.affine - b.affine}"
    if a.shape != b.shape:
        yield f"nibabel's shape {a.shape} {b.shape}"
    else:
        x, y = np.asarray(a.dataobj), np.asarray(b.dataobj)  # scaled ones are float64 in x
        if not np.array_equal(x.astype(y.dtype), y, equal_nan=True):
            yield "nibabel's voxels"
    for field in ("qform_code", "sform_code", "xyzt_units", "descrip", "intent_code", "pixdim"):
        x, y = a.header[field], b.header[field]
        if x.tobytes() != y.astype(x.dtype).tobytes():
            yield f"{field}: {x} {y}"
    if not isinstance(a, nibabel.Nifti1Image) or isinstance(a, nibabel.Nifti2Image):
        return  # SimpleITK reads neither pairs by .hdr nor NIfTI-2 in every version
    try:
        a = sitk.ReadImage(source)
    except RuntimeError:
        return  # what ITK refuses in the source it may refuse in the copy
    b = sitk.ReadImage(copy)
    if place(a) != place(b):
        yield f"SimpleITK's place {place(a)} {place(b)}"
    elif not np.array_equal(sitk.GetArrayViewFromImage(a), sitk.GetArrayViewFromImage(b),
                            equal_nan=True):
        yield "SimpleITK's voxels"


pairs = list(zip(sys.argv[1::2], sys.argv[2::2]))
found = [f"{s} {c}: {d}" for s, c in pairs for d in differences(s, c)]
print("\n".join(found) if found else f"{len(pairs)} pairs agree")
sys.exit(1 if found or not pairs else 0)
