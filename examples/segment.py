"""Segments an array in memory with a trained network; needs Python's standard library alone.

usage: segment.py RUN IN.raw CHANNELS DEPTH HEIGHT WIDTH SPACING OUT.raw    (see segment.c)

With numpy, image.ctypes.data_as(c_void_p) takes the place of the array below. LIBVOLT names
the library where the system does not find it.
"""

import ctypes
import os
import sys
from array import array
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_size_t, c_void_p

VOLT_I16 = 4


class Grid(ctypes.Structure):  # volt_grid
    _fields_ = [("n", c_int64 * 3), ("channels", c_int32), ("to_world", (c_double * 4) * 3)]


class Volume(ctypes.Structure):  # volt_volume
    _fields_ = [("grid", Grid), ("dtype", c_int), ("data", c_void_p)]


volt = ctypes.CDLL(os.environ.get("LIBVOLT", "libvolt.so.0"))
volt.volt_last_error.restype = c_char_p
volt.volt_grid_make.restype = Grid
volt.volt_grid_make.argtypes = [POINTER(c_int64), c_int32, POINTER(c_double)]
volt.volt_volume_bytes.restype = c_size_t
volt.volt_volume_bytes.argtypes = [POINTER(Volume)]
volt.volt_predictor_open.argtypes = [POINTER(c_void_p), POINTER(c_char_p), c_int, c_void_p, c_void_p]
volt.volt_predictor_run.argtypes = [c_void_p, POINTER(Volume), POINTER(POINTER(Volume)), c_void_p]
volt.volt_predictor_free.argtypes = [c_void_p]
volt.volt_volume_free.argtypes = [POINTER(Volume)]


def check(status):
    """A failure becomes an exception with VOLT's sentence."""
    if status != 0:
        raise RuntimeError(volt.volt_last_error().decode())


class Predictor:
    """The trained networks of a run. Use it in one thread at a time."""

    def __init__(self, run):
        self._handle = c_void_p()
        runs = (c_char_p * 1)(os.fsencode(run))
        check(volt.volt_predictor_open(byref(self._handle), runs, 1, None, None))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        volt.volt_predictor_free(self._handle)
        self._handle = None

    def segment(self, voxels, channels, size, spacing):
        """`voxels`: an array("h") of (channel, z, y, x); `size` and `spacing` (mm): z, y, x.
        Returns the labels as bytes, (z, y, x)."""
        if len(voxels) != channels * size[0] * size[1] * size[2]:
            raise ValueError("the array's length is not channels * depth * height * width")
        grid = volt.volt_grid_make((c_int64 * 3)(*size), channels, (c_double * 3)(*spacing))
        image = Volume(grid, VOLT_I16, voxels.buffer_info()[0])
        labels = POINTER(Volume)()
        check(volt.volt_predictor_run(self._handle, byref(image), byref(labels), None))
        try:
            return ctypes.string_at(labels.contents.data, volt.volt_volume_bytes(labels))
        finally:
            volt.volt_volume_free(labels)


def main():
    if len(sys.argv) != 9:
        sys.exit(__doc__)
    run, source, channels, *size, spacing, target = sys.argv[1:]
    voxels = array("h")
    with open(source, "rb") as file:
        voxels.frombytes(file.read())
    with Predictor(run) as predictor:
        labels = predictor.segment(voxels, int(channels), [int(n) for n in size], [float(spacing)] * 3)
    for label in sorted(set(labels) - {0}):
        print(f"label {label}: {labels.count(label)} voxels")
    with open(target, "wb") as file:
        file.write(labels)


if __name__ == "__main__":
    try:
        main()
    except (OSError, RuntimeError, ValueError) as error:
        sys.exit(f"segment.py: {error}")
