"""Headers of every space, axis order, sign and key, and where SimpleITK and nibabel see their voxels.

usage: make_geometry.py testdata/geometry
files.bin holds the files one after the other. index.txt has one line per file: name, offset,
bytes, size x y z, channels, the matrix (voxel to mm, RAS, row by row) and the sum of the values
weighted by their position. The matrix is SimpleITK's, but for NRRD spaces with time, which
SimpleITK takes for LPS, and axis mins with maxs without spacings: there it follows NRRD's
definition. NIfTI's is nibabel's; SimpleITK must agree where it reads the file.
"""
import itertools
import os
import sys
import tempfile

import nibabel as nib
import numpy as np
import SimpleITK as sitk

FLIP = {"R": (0, -1), "L": (0, 1), "A": (1, -1), "P": (1, 1), "S": (2, 1), "I": (2, -1)}
SPACING, ORIGIN = (0.75, 1.5, 2.25), (-11.5, 20.25, 33.125)
SIZE = (4, 3, 2)
BINARY = "BinaryData = True\nBinaryDataByteOrderMSB = False\n"


def voxels(count):
    return (np.arange(count) * 7919 % 251).astype("u1")


def orientations():
    """The 48 matrices whose columns are signed unit vectors."""
    for order in itertools.permutations(range(3)):
        for signs in itertools.product((1, -1), repeat=3):
            m = np.zeros((3, 3))
            for axis in range(3):
                m[order[axis], axis] = signs[axis]
            yield m


def oblique():
    a, b = 0.4, -0.25
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    return turn @ np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])


def text(v):
    return ",".join("%.17g" % (x + 0.0) for x in v)


def nrrd(fields, sizes=SIZE):
    head = "NRRD0005\ntype: uint8\ndimension: %d\nsizes: %s\nencoding: raw\n" % (len(sizes), " ".join(map(str, sizes)))
    return (head + "\n".join(fields) + "\n\n").encode() + voxels(int(np.prod(sizes))).tobytes()


def directions(m, more=()):
    columns = ["(%s)" % text(m[:, i] * SPACING[i]) for i in range(3)]
    for at, word in more:
        columns.insert(at, word)
    return "space directions: " + " ".join(columns)


def nrrd_files():
    origin = "space origin: (%s)" % text(ORIGIN)
    names = {"RAS": "right-anterior-superior", "LAS": "left-anterior-superior", "LPS": "left-posterior-superior"}
    for code, name in names.items():
        for i, m in enumerate(list(orientations()) + [oblique()]):
            space = name if i % 2 else code
            yield "nrrd-%s-%02d.nrrd" % (code, i), nrrd(["space: " + space, directions(m), origin]), None
        yield "nrrd-%s-case.nrrd" % code, nrrd(["space: " + name.upper(), directions(oblique()), origin]), None
        four = np.eye(4)
        four[:3, :3] = oblique() * SPACING
        flip = np.diag([1, 1, 1] if code == "RAS" else [-1, 1, 1] if code == "LAS" else [-1, -1, 1])
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = flip @ four[:3, :3], flip @ np.array(ORIGIN)
        for form in (name + "-time", code + "T"):
            yield "nrrd-%s.nrrd" % form, nrrd(
                ["space: " + form, "space directions: " + " ".join("(%s)" % text(four[:, i]) for i in range(4)),
                 "space origin: (%s)" % text(ORIGIN + (5,))], SIZE + (2,)), matrix
        for kind in ("list", "vector", "3-color"):
            for at in (0, 1, 3):
                kinds = ["domain"] * 3
                kinds.insert(at, kind)
                sizes = list(SIZE)
                sizes.insert(at, 3)
                yield "nrrd-%s-%s-%d.nrrd" % (code, kind, at), nrrd(
                    ["kinds: " + " ".join(kinds), "space: " + name, directions(oblique(), [(at, "none")]), origin],
                    sizes), None
        yield "nrrd-%s-noorigin.nrrd" % code, nrrd(["space: " + code, directions(oblique())]), None
        yield "nrrd-%s-nodir.nrrd" % code, nrrd(["space: " + code, origin]), None
        for gap in ("", " "):
            yield "nrrd-%s-words%s.nrrd" % (code, gap.replace(" ", "-blank")), nrrd(
                [f.replace("space ", "space" + gap, 1) for f in (
                    "space: " + name.replace("-", gap), directions(oblique()), origin)]), None
    for space in ("scanner-xyz", "3D-right-handed", "3D-left-handed"):
        yield "nrrd-%s.nrrd" % space, nrrd(["space: " + space, directions(oblique()), origin]), None
    yield "nrrd-dimension.nrrd", nrrd(["space dimension: 3", directions(oblique()), origin]), None
    yield "nrrd-spacings.nrrd", nrrd(["spacings: 0.75 1.5 2.25"]), None
    yield "nrrd-negative.nrrd", nrrd(["spacings: -0.75 1.5 -2.25"]), None
    yield "nrrd-mins.nrrd", nrrd(["spacings: 0.75 1.5 2.25", "axis mins: 1 2 3"]), None
    yield "nrrd-cell.nrrd", nrrd(["spacings: 0.75 1.5 2.25", "axismins: 1 2 3", "centers: cell cell cell"]), None
    yield "nrrd-node.nrrd", nrrd(["spacings: 0.75 1.5 2.25", "axis mins: 1 2 3", "centerings: node node node"]), None
    by_range = np.diag([-1.0, -2.0, 3.0, 1.0])
    by_range[:3, 3] = -1.5, -3.0, 4.5
    yield "nrrd-range.nrrd", nrrd(["axis mins: 1 2 3", "axis maxs: 5 8 9"]), by_range
    yield "nrrd-nothing.nrrd", nrrd(["# no geometry", "key:=value: with colon"]), None
    yield "nrrd-2d.nrrd", nrrd(["space dimension: 2", "space directions: (0,1.5) (-0.75,0)", "space origin: (3,4)"],
                               (4, 3)), None
    yield "nrrd-2d-spacings.nrrd", nrrd(["spacings: 0.75 1.5"], (4, 3)), None


def meta(keys, sizes=SIZE):
    head = "ObjectType = Image\nNDims = %d\n%sDimSize = %s\nElementType = MET_UCHAR\n" % (
        len(sizes), BINARY, " ".join(map(str, sizes)))
    return (head + "".join(k + "\n" for k in keys) + "ElementDataFile = LOCAL\n").encode() + voxels(
        int(np.prod(sizes))).tobytes()


def words(v):
    return " ".join("%.17g" % (x + 0.0) for x in v)


def meta_files():
    spacing, origin = "ElementSpacing = " + words(SPACING), "Offset = " + words(ORIGIN)
    for i, m in enumerate(list(orientations()) + [oblique()]):
        yield "meta-%02d.mha" % i, meta(["TransformMatrix = " + words(m.T.ravel()), origin, spacing]), None
    turn = words(oblique().T.ravel())
    for key in ("Rotation", "Orientation"):
        yield "meta-%s.mha" % key, meta([key + " = " + turn, origin, spacing]), None
    for key in ("Position", "Origin"):
        yield "meta-%s.mha" % key, meta(["TransformMatrix = " + turn, key + " = " + words(ORIGIN), spacing]), None
    yield "meta-size.mha", meta(["TransformMatrix = " + turn, origin, "ElementSize = " + words(SPACING)]), None
    yield "meta-both.mha", meta(["TransformMatrix = " + turn, origin, "ElementSize = 4 5 6", spacing]), None
    yield "meta-center.mha", meta(["TransformMatrix = " + turn, "CenterOfRotation = 1 2 3", origin, spacing]), None
    for code in ("RAI", "LPS", "RAS", "ASL", "???"):
        yield "meta-%s.mha" % code.replace("?", "q"), meta(["AnatomicalOrientation = " + code, origin, spacing]), None
        yield "meta-both-%s.mha" % code.replace("?", "q"), meta(
            ["TransformMatrix = " + turn, origin, "AnatomicalOrientation = " + code, spacing]), None
    yield "meta-negative.mha", meta([origin, "ElementSpacing = 0.75 -1.5 2.25"]), None
    yield "meta-nothing.mha", meta([]), None
    yield "meta-channels.mha", meta(["TransformMatrix = " + turn, origin, spacing, "ElementNumberOfChannels = 1"]), None
    four = np.eye(4)
    four[:3, :3] = oblique()
    yield "meta-4.mha", meta(["TransformMatrix = " + words(four.T.ravel()), origin + " 5", spacing + " 1"],
                             SIZE + (2,)), None
    yield "meta-2.mha", meta(["TransformMatrix = 0 1 -1 0", "Offset = 3 4", "ElementSpacing = 0.75 1.5"], (4, 3)), None


def nifti_files(folder):
    for form in ("sform", "qform"):
        for i, m in enumerate(list(orientations()) + [oblique()]):
            matrix = np.eye(4)
            matrix[:3, :3], matrix[:3, 3] = m * SPACING, ORIGIN
            image = nib.Nifti1Image(voxels(24).reshape(SIZE, order="F"), None)
            image.header.set_xyzt_units("mm")
            image.header["pixdim"][1:4] = SPACING
            if form == "sform":
                image.set_sform(matrix, 1)
                image.set_qform(None, 0)
            else:
                image.set_qform(matrix, 1)
                image.set_sform(None, 0)
            path = os.path.join(folder, "x.nii")
            image.to_filename(path)
            yield "%s-%02d.nii" % (form, i), open(path, "rb").read(), nib.load(path).affine


def gipl_files(folder):
    image = sitk.GetImageFromArray(voxels(24).reshape(SIZE[::-1]))
    image.SetSpacing(SPACING)
    image.SetOrigin(ORIGIN)
    path = os.path.join(folder, "x.gipl")
    sitk.WriteImage(image, path)
    yield "plain.gipl", open(path, "rb").read(), None


def seen(path):
    image = sitk.ReadImage(path)
    n, channels = image.GetDimension(), image.GetNumberOfComponentsPerPixel()
    values = sitk.GetArrayFromImage(image).astype(np.float64)
    space = min(n, 3)
    if n == 4:
        channels = image.GetSize()[3]
    elif channels > 1:
        values = np.moveaxis(values, -1, 0)
    matrix = np.eye(4)
    matrix[:space, :space] = np.array(image.GetDirection()).reshape(n, n)[:space, :space] * np.array(
        image.GetSpacing())[:space]
    matrix[:space, 3] = image.GetOrigin()[:space]
    size = (list(image.GetSize())[:3] + [1])[:3]
    flat = values.ravel()
    return size, channels, np.diag([-1, -1, 1, 1]) @ matrix, float((flat * (np.arange(flat.size) % 97 + 1)).sum())


def main(out):
    os.makedirs(out, exist_ok=True)
    at = 0
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(out, "files.bin"), "wb") as data, \
            open(os.path.join(out, "index.txt"), "w") as index:
        for name, content, defined in itertools.chain(nrrd_files(), meta_files(), nifti_files(folder),
                                                      gipl_files(folder)):
            path = os.path.join(folder, name)
            with open(path, "wb") as f:
                f.write(content)
            size, channels, matrix, total = seen(path)
            if name.endswith(".nii"):
                assert np.abs(matrix - defined).max() < 1e-5, name
            if defined is not None:
                matrix = defined
            data.write(content)
            index.write("%s %d %d %d %d %d %d %s %.17g\n" % (
                name, at, len(content), *size, channels, " ".join("%.17g" % (x + 0.0) for x in matrix[:3].ravel()), total))
            at += len(content)


main(sys.argv[1])
