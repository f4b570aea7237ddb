"""Small pictures of every kind that VOLT reads, and what Pillow and tifffile read from them.

usage: make_pictures.py testdata/pictures
Pillow 13, tifffile 2026. expected.txt has one line per file: name, width, height, pages, channels, the sum of the
image's values and the sum of the label map's, each weighted by position; -1: refused. Images are Pillow's grey or
RGB values (palettes as colours); labels are the values stored: bits, levels, indices.
"""
import os
import struct
import sys
import zlib

import numpy as np
import tifffile
from PIL import Image

W, H = 13, 9
LABELS = (np.arange(W * H).reshape(H, W) * 7 // 5 % 4).astype(np.uint8)
BITS = LABELS % 2
DEEP = (np.arange(W * H).reshape(H, W) * 7919 % 251).astype(np.uint8)
COLOURS = [(0, 0, 0), (250, 20, 10), (30, 240, 50), (70, 60, 230)]
GREYS = [(0, 0, 0), (90, 90, 90), (170, 170, 170), (255, 255, 255)]
RGB = np.stack([DEEP, DEEP[::-1], DEEP[:, ::-1]], -1)


def weighted(values):
    flat = np.asarray(values, np.float64).ravel()
    return float((flat * (np.arange(flat.size) % 97 + 1)).sum())


def flat_palette(colours):
    return [v for c in colours for v in c]


def indexed(values, colours):
    image = Image.fromarray(values, "P")
    image.putpalette(flat_palette(colours))
    return image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(row, bits):
    out = bytearray((len(row) * bits + 7) // 8)
    for i, v in enumerate(row):
        out[i * bits // 8] |= int(v) << (8 - bits - i * bits % 8)
    return bytes(out)


def png(path, values, bits, kind, interlaced=False, extra=b""):
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    raw = b""
    for x, y, dx, dy in passes if interlaced else [(0, 0, 1, 1)]:
        part = values[y::dy, x::dx]
        if part.size:
            raw += b"".join(b"\0" + (packed(row, bits) if bits < 8 else row.tobytes()) for row in part)
    with open(path, "wb") as f:
        f.write(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", W, H, bits, kind, 0, 0, int(interlaced)))
                + extra + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b""))


def bmp(path, rows, bits, compression=0, palette=(), masks=b"", top_down=False, core=False):
    colours = b"".join(bytes(c[::-1]) + (b"" if core else b"\0") for c in palette)
    header = (struct.pack("<IHHHH", 12, W, H, 1, bits) if core else
              struct.pack("<IiiHHIIiiII", 40, W, -H if top_down else H, 1, bits, compression, len(rows), 2835, 2835,
                          len(palette), 0))
    offset = 14 + len(header) + len(masks) + len(colours)
    with open(path, "wb") as f:
        f.write(b"BM" + struct.pack("<IHHI", offset + len(rows), 0, 0, offset) + header + masks + colours + rows)


def rows_of(values, bits, top_down=False):
    out = b""
    for row in values if top_down else values[::-1]:
        data = packed(row, bits)
        out += data + b"\0" * (-len(data) % 4)
    return out


def runs8(values):
    out = b""
    for y, row in enumerate(values[::-1]):
        if y % 2:  # literals
            out += bytes([0, len(row)]) + bytes(row) + b"\0" * (len(row) % 2)
        else:
            out += b"".join(bytes([1, v]) for v in row)
        out += b"\0\0"
    return out + b"\0\1"


def runs4(values):
    out = b""
    for y, row in enumerate(values[::-1]):
        if y % 2:
            data = packed(row, 4)
            out += bytes([0, len(row)]) + data + b"\0" * (len(data) % 2)
        else:
            out += b"".join(bytes([len(row[i:i + 2]), int(row[i]) << 4 | int(row[min(i + 1, W - 1)])])
                            for i in range(0, W, 2))
        out += b"\0\0"
    return out + b"\0\1"


def main(folder):
    os.makedirs(folder, exist_ok=True)
    os.chdir(folder)
    colour = np.array(COLOURS)[LABELS]
    plte = chunk(b"PLTE", bytes(flat_palette(COLOURS)))
    want = {}  # name: (image, labels); None: refused

    def add(name, image, labels, pages=1):
        want[name] = (None if image is None else np.asarray(image, np.float64), labels, pages)

    def save(name, image, labels, **options):
        image.save(name, **options)
        read = Image.open(name)
        read.load()
        indices = read.mode == "P"
        mode = {"1": "L", "P": "RGB", "CMYK": "CMYK"}.get(read.mode, read.mode)
        read = np.asarray(read.convert(mode))
        grey = read.ndim == 3 and read.shape[2] == 3 and (read[..., :1] == read).all() and indices
        add(name, read[..., 0] if grey else read, labels)

    # PNG
    for bits in (1, 2, 4):
        values = LABELS if bits > 1 else BITS
        png("grey%d.png" % bits, values, bits, 0)
        add("grey%d.png" % bits, values.astype(int) * (255 // (2**bits - 1)), values)
    png("palette2.png", LABELS, 2, 3, extra=plte)
    add("palette2.png", colour, LABELS)
    png("palette4i.png", LABELS, 4, 3, True, plte)
    add("palette4i.png", colour, LABELS)
    png("transparent.png", LABELS, 8, 3, extra=plte + chunk(b"tRNS", b"\0\x80"))
    add("transparent.png", colour, LABELS)
    png("interlaced.png", DEEP, 8, 0, True)
    add("interlaced.png", DEEP, DEEP)
    save("palette8.png", indexed(LABELS, COLOURS), LABELS)
    save("greys.png", indexed(LABELS, GREYS), LABELS)
    save("bits.png", Image.fromarray(BITS * 255, "L").convert("1"), BITS)
    save("alpha.png", Image.fromarray(np.dstack([DEEP, DEEP // 2]), "LA"), DEEP)
    save("rgba.png", Image.fromarray(np.dstack([RGB, DEEP]), "RGBA"), None)
    save("equal.png", Image.fromarray(np.dstack([LABELS] * 3), "RGB"), LABELS)
    # BMP
    save("bits.bmp", Image.fromarray(BITS * 255, "L").convert("1"), BITS)
    save("grey.bmp", Image.fromarray(DEEP, "L"), DEEP)
    save("palette8.bmp", indexed(LABELS, COLOURS), LABELS)
    save("rgb.bmp", Image.fromarray(RGB, "RGB"), None)
    bmp("palette4.bmp", rows_of(LABELS, 4), 4, palette=COLOURS)
    bmp("greys1.bmp", rows_of(BITS, 1), 1, palette=[(255,) * 3, (0,) * 3])
    bmp("core4.bmp", rows_of(LABELS, 4), 4, palette=(COLOURS * 4)[:16], core=True)
    bmp("down8.bmp", rows_of(LABELS, 8, True), 8, palette=GREYS, top_down=True)
    bmp("runs8.bmp", runs8(LABELS), 8, 1, COLOURS)
    bmp("runs4.bmp", runs4(LABELS), 4, 2, COLOURS)
    for name, colours, values in (("palette4.bmp", COLOURS, LABELS), ("core4.bmp", COLOURS, LABELS),
                                  ("runs8.bmp", COLOURS, LABELS), ("runs4.bmp", COLOURS, LABELS)):
        add(name, np.array(colours)[values], values)
        assert (np.asarray(Image.open(name).convert("RGB")) == want[name][0]).all(), name
    add("greys1.bmp", (1 - BITS.astype(int)) * 255, BITS)
    add("down8.bmp", np.array(GREYS)[LABELS][..., 0], LABELS)
    five = RGB.astype(int) >> 3
    wide = (five[..., 0] << 11 | five[..., 1] << 6 | five[..., 2]).astype("<u2")
    rows = b"".join(row.tobytes() + b"\0" * (-len(row.tobytes()) % 4) for row in wide[::-1])
    bmp("fields16.bmp", rows, 16, 3, masks=struct.pack("<III", 0xf800, 0x07e0, 0x1f))
    save_like = np.asarray(Image.open("fields16.bmp"))
    add("fields16.bmp", save_like, None)
    four = np.dstack([RGB[..., ::-1], DEEP])
    bmp("rgb32.bmp", four[::-1].tobytes(), 32)
    add("rgb32.bmp", np.asarray(Image.open("rgb32.bmp")), None)
    # TIFF
    for compression in ("raw", "group4", "packbits"):
        save("bits_%s.tif" % compression, Image.fromarray(BITS * 255, "L").convert("1"), BITS, compression=compression)
    for compression in ("raw", "tiff_lzw", "tiff_adobe_deflate"):
        save("palette_%s.tif" % compression, indexed(LABELS, COLOURS), LABELS, compression=compression)
    save("greys.tif", indexed(LABELS, GREYS), LABELS)
    tifffile.imwrite("white8.tif", DEEP, photometric="miniswhite")
    add("white8.tif", np.asarray(Image.open("white8.tif").convert("L")), DEEP)
    tifffile.imwrite("white16.tif", DEEP.astype(np.uint16) * 257, photometric="miniswhite")
    add("white16.tif", 65535 - DEEP.astype(int) * 257, DEEP.astype(int) * 257)
    tifffile.imwrite("white1.tif", BITS.astype(bool), photometric="miniswhite")
    add("white1.tif", (1 - BITS.astype(int)) * 255, BITS)
    colormap = np.zeros((3, 256), np.uint16)
    colormap[:, :4] = np.array(COLOURS).T * 257
    tifffile.imwrite("tiles.tif", LABELS, photometric="palette", colormap=colormap, tile=(16, 16))
    add("tiles.tif", colour, LABELS)
    tifffile.imwrite("tiles_grey.tif", DEEP.astype(np.int16) * 100 - 9000, photometric="minisblack", tile=(16, 16))
    add("tiles_grey.tif", DEEP.astype(int) * 100 - 9000, DEEP.astype(int) * 100 - 9000)
    tifffile.imwrite("tiles_rgb.tif", RGB, photometric="rgb", tile=(16, 16), compression="zlib")
    add("tiles_rgb.tif", RGB, None)
    tifffile.imwrite("tiles_float.tif", DEEP / np.float32(4), photometric="minisblack", tile=(16, 16))
    add("tiles_float.tif", DEEP / 4, None)
    for kind in ("uint32", "int32", "uint64", "int64", "float64"):
        wide = DEEP.astype(kind) * 100 - (0 if kind[0] == "u" else 9000)
        tifffile.imwrite(kind + ".tif", wide, photometric="minisblack")
        add(kind + ".tif", wide, wide)
    tifffile.imwrite("int32_rgb.tif", RGB.astype(np.int32) * 1000, photometric="rgb", compression="zlib")
    add("int32_rgb.tif", RGB.astype(int) * 1000, None)
    tifffile.imwrite("turned.tif", DEEP, photometric="minisblack", extratags=[(274, 3, 1, 6, True)])
    add("turned.tif", DEEP, DEEP)
    stack = np.stack([LABELS, LABELS[::-1], LABELS[:, ::-1]])
    tifffile.imwrite("pages.tif", stack, photometric="palette", colormap=colormap)
    add("pages.tif", np.array(COLOURS)[stack], stack, 3)
    tifffile.imwrite("planes.tif", np.moveaxis(RGB, -1, 0), photometric="rgb", planarconfig="separate")
    add("planes.tif", RGB, None)
    tifffile.imwrite("alpha.tif", np.dstack([DEEP, DEEP // 2]), photometric="minisblack", extrasamples=["unassalpha"],
                     planarconfig="contig")
    add("alpha.tif", np.dstack([DEEP, DEEP // 2]), DEEP)
    tifffile.imwrite("equal.tif", np.dstack([LABELS] * 3), photometric="rgb")
    add("equal.tif", np.dstack([LABELS] * 3), LABELS)
    tifffile.imwrite("cmyk.tif", np.dstack([RGB, DEEP]), photometric="separated")
    add("cmyk.tif", None, None)
    with tifffile.TiffWriter("differ.tif") as t:
        t.write(DEEP, photometric="minisblack")
        t.write(DEEP[:5], photometric="minisblack")
    add("differ.tif", None, None)
    # GIF
    save("greys.gif", indexed(LABELS, GREYS), LABELS)
    save("colours.gif", indexed(LABELS, COLOURS), LABELS)
    save("interlaced.gif", Image.fromarray(DEEP, "L"), None, interlace=1)
    want["interlaced.gif"] = (want["interlaced.gif"][0], np.asarray(Image.open("interlaced.gif")), 1)
    dark = np.array([0, 2, 5, 9], np.uint8)[LABELS]  # Pillow leaves out the greys between
    save("dark.gif", Image.fromarray(dark, "L"), dark)
    indexed(LABELS, COLOURS).save("moving.gif", save_all=True, append_images=[indexed(LABELS[::-1].copy(), COLOURS)])
    add("moving.gif", None, None)
    # JPEG
    save("grey.jpg", Image.fromarray(DEEP, "L"), None, quality=60)
    want["grey.jpg"] = (want["grey.jpg"][0], want["grey.jpg"][0], 1)
    save("rgb.jpg", Image.fromarray(RGB, "RGB"), None, quality=60)
    save("progressive.jpg", Image.fromarray(RGB, "RGB"), None, quality=60, progressive=True)
    turned = Image.Exif()
    turned[0x0112] = 6
    save("turned.jpg", Image.fromarray(RGB, "RGB"), None, quality=60, exif=turned)
    Image.fromarray(np.dstack([RGB, DEEP]), "CMYK").save("cmyk.jpg")
    add("cmyk.jpg", None, None)

    with open("expected.txt", "w") as out:
        for name, (image, labels, pages) in want.items():
            channels = 0
            if image is not None:
                channels = image.shape[-1] if image.ndim > (3 if pages > 1 else 2) else 1
                image = np.moveaxis(image, -1, 0) if channels > 1 else image
            out.write("%s %d %d %d %d %.17g %.17g\n" % (name, W, H, pages, channels,
                                                        -1 if image is None else weighted(image),
                                                        -1 if labels is None else weighted(labels)))


main(sys.argv[1])
