/* tiff.h - the TIFF files that ITK would turn into colours with alpha, read through libtiff.
 * C++.
 *
 * Palettes, 1, 2 and 4 bits, min-is-white, grey with alpha, planes, tiles, JPEG inside, YCbCr,
 * and an orientation, which is ignored. Images: palettes are grey if all their colours are,
 * else RGB; few bits are scaled to 0..255. Labels: the values as stored.
 */
#ifndef VOLT_IO_ITK_TIFF_H
#define VOLT_IO_ITK_TIFF_H
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>

struct TiffImage {
    std::uint32_t width = 0, height = 0, pages = 0, samples = 0;
    enum Type { Unsigned, Signed, Float } type = Unsigned;
    std::size_t bytes = 0; // of a sample: 1, 2, 4 or 8, native order
    std::unique_ptr<char, decltype(&std::free)> planes{nullptr, &std::free}; // (C, Z, Y, X)
};

// False: ITK reads the file. Without `voxels` no planes. Throws Refusal: damaged files, pages
// that differ, colours that are not supported.
bool read_tiff(TiffImage &out, const std::string &path, bool voxels, bool labels);

#endif
