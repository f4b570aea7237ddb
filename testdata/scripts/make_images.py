"""Small scans in the formats that ITK writes, and what SimpleITK reads from them.

usage: make_images.py testdata/images
Each file holds voxel values that follow from its index; expected.txt has one line per file: name,
dimension, components, type, size x y z, the matrix (voxel to mm, RAS, row by row) and the sum of
the values weighted by their position.
"""
import os
import sys

import numpy as np
import SimpleITK as sitk

GEOMETRY = dict(spacing=(0.7, 1.25, 2.5), origin=(-12.5, 30.25, 7.125))
ANGLE = 0.3


def direction():
    c, s = np.cos(ANGLE), np.sin(ANGLE)
    return (np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) @ np.diag([1, -1, -1])).ravel().tolist()


def volume(shape, dtype, components=1):
    count = int(np.prod(shape)) * components
    values = (np.arange(count) * 7919 % 251).astype(dtype).reshape(shape + (components,))
    return sitk.GetImageFromArray(values if components > 1 else values[..., 0], isVector=components > 1)


def placed(image):
    n = image.GetDimension()
    image.SetSpacing(GEOMETRY["spacing"][:n])
    image.SetOrigin(GEOMETRY["origin"][:n])
    if n == 3:
        image.SetDirection(direction())
    return image


def describe(name, image):
    n, parts = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    values = sitk.GetArrayFromImage(image).astype(np.float64)
    space = min(n, 3)
    if n == 4:
        parts = image.GetSize()[3]
    elif parts > 1:
        values = np.moveaxis(values, -1, 0)
    matrix = np.eye(4)
    turn = np.array(image.GetDirection()).reshape(n, n)[:space, :space]
    matrix[:space, :space] = turn * np.array(image.GetSpacing())[:space]
    matrix[:space, 3] = image.GetOrigin()[:space]
    matrix = np.diag([-1, -1, 1, 1]) @ matrix
    flat = values.ravel()
    size = (list(image.GetSize())[:3] + [1])[:3]
    kind = image.GetPixelIDTypeAsString()
    for word, dtype in (("8-bit unsigned", "uint8"), ("16-bit signed", "int16"), ("16-bit unsigned", "uint16"),
                        ("32-bit float", "float32"), ("64-bit float", "float64"), ("32-bit signed", "int32")):
        if word in kind:
            break
    numbers = " ".join("%.17g" % x for x in matrix[:3].ravel())
    return "%s %d %d %s %d %d %d %s %.17g\n" % (name, min(n, 3), parts, dtype, *size, numbers,
                                                float((flat * (np.arange(flat.size) % 97 + 1)).sum()))


def main(folder):
    os.makedirs(folder, exist_ok=True)
    four = sitk.JoinSeries([placed(volume((3, 4, 5), np.uint8)) for _ in range(2)])
    files = {
        "oblique.mha": (placed(volume((4, 5, 6), np.int16)), True),
        "apart.mhd": (placed(volume((4, 5, 6), np.uint16)), True),
        "plain.nrrd": (placed(volume((4, 5, 6), np.float32)), False),
        "packed.nrrd": (placed(volume((4, 5, 6), np.int32)), True),
        "apart.nhdr": (placed(volume((4, 5, 6), np.float64)), False),
        "vector.nrrd": (placed(volume((3, 4, 5), np.float32, 2)), True),
        "four.mha": (four, True),
        "flat.mha": (placed(volume((7, 6), np.uint8)), False),
        "colours.mha": (placed(volume((7, 6), np.uint8, 3)), False),
        "picture.png": (volume((7, 6), np.uint8, 3), False),
        "deep.png": (volume((7, 6), np.uint16), False),
        "picture.tif": (volume((7, 6), np.uint8, 3), False),
        "pages.tif": (volume((4, 5, 6), np.uint16), False),
        "picture.bmp": (volume((7, 6), np.uint8, 3), False),
        "scan.gipl": (volume((4, 5, 6), np.int16), False),
    }
    with open(os.path.join(folder, "expected.txt"), "w") as out:
        for name, (image, packed) in files.items():
            path = os.path.join(folder, name)
            sitk.WriteImage(image, path, packed)
            read = sitk.ReadImage(path)
            if name.endswith((".tif", ".bmp")):
                read.SetSpacing([1.0] * read.GetDimension())
            out.write(describe(name, read))


main(sys.argv[1])
