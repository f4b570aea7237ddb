// tiff.cxx - palettes, bits and other TIFF files that ITK does not keep as they are.
#include "io/itk/tiff.h"

#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <unistd.h>
#include <vector>

#include <tiffio.h>

#include "io/itk/refusal.h"

namespace
{
constexpr std::uint32_t most_pages = 65535;

std::string said; // the first error or warning since it was cleared

void listen(const char *, const char *format, va_list words)
{
    char text[200];
    if (!said.empty())
        return;
    std::vsnprintf(text, sizeof text, format, words);
    said = text;
}

// Of a directory: entries that lie behind the end of the file.
void listen_for_cuts(const char *module, const char *format, va_list words)
{
    if (std::strncmp(format, "IO error", 8) == 0)
        listen(module, format, words);
}

[[noreturn]] void damaged(const char *words)
{
    throw Refusal(VOLT_EFORMAT, "it is damaged: " + (said.empty() ? std::string(words) : said));
}

using File = std::unique_ptr<TIFF, decltype(&TIFFClose)>;

// What decides how a page is read; all pages of a file are alike.
struct Page {
    std::uint32_t width = 0, height = 0;
    std::uint16_t bits = 1, samples = 1, photometric = PHOTOMETRIC_MINISBLACK;
    std::uint16_t planar = PLANARCONFIG_CONTIG, type = SAMPLEFORMAT_UINT;
    bool plain = true; // strips of a usual compression, rows from the top: what ITK reads

    bool operator==(const Page &o) const
    {
        return width == o.width && height == o.height && bits == o.bits &&
               samples == o.samples && photometric == o.photometric && planar == o.planar &&
               type == o.type;
    }
};

Page page_of(TIFF *tiff)
{
    Page p;
    if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &p.width) ||
        !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &p.height) || !p.width || !p.height)
        damaged("it has no width or no height");
    TIFFGetFieldDefaulted(tiff, TIFFTAG_BITSPERSAMPLE, &p.bits);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &p.samples);
    TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &p.photometric);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_PLANARCONFIG, &p.planar);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLEFORMAT, &p.type);
    std::uint16_t packing = COMPRESSION_NONE, orientation = ORIENTATION_TOPLEFT;
    TIFFGetFieldDefaulted(tiff, TIFFTAG_COMPRESSION, &packing);
    TIFFGetFieldDefaulted(tiff, TIFFTAG_ORIENTATION, &orientation);
    p.plain = !TIFFIsTiled(tiff) && orientation == ORIENTATION_TOPLEFT &&
              (packing == COMPRESSION_NONE || packing == COMPRESSION_LZW ||
               packing == COMPRESSION_PACKBITS || packing == COMPRESSION_DEFLATE ||
               packing == COMPRESSION_ADOBE_DEFLATE);
    if (p.type == SAMPLEFORMAT_VOID)
        p.type = SAMPLEFORMAT_UINT;
    return p;
}

bool is_reduced(TIFF *tiff)
{
    std::uint32_t kind = 0;
    TIFFGetField(tiff, TIFFTAG_SUBFILETYPE, &kind);
    return kind & FILETYPE_REDUCEDIMAGE;
}

// The numbers of the pages, without previews.
std::vector<std::uint32_t> pages_of(TIFF *tiff, Page &first)
{
    std::vector<std::uint32_t> pages;
    std::uint32_t number = 0;
    first = page_of(tiff);
    do {
        if (number > 0 && is_reduced(tiff))
            continue;
        if (!(page_of(tiff) == first))
            throw Refusal(VOLT_ENOTSUP, "page " + std::to_string(number + 1) +
                                            " differs from page 1 in size or kind; pages that "
                                            "are slices of one volume are supported");
        pages.push_back(number);
    } while (++number < most_pages && TIFFReadDirectory(tiff));
    return pages;
}

// Kinds that ITK keeps as they are, grey and colours of whole bytes, are left to it: not wide
// integers and float64, of which ITK 5.2 reads 32 bits as zeros and refuses 64.
bool is_ours(const Page &p)
{
    const std::string bits = std::to_string(p.bits);
    if (p.photometric == PHOTOMETRIC_SEPARATED)
        throw Refusal(VOLT_ENOTSUP, "it has " + std::to_string(p.samples) +
                                        " channels (cyan, magenta, yellow, black); grey or RGB "
                                        "is supported");
    if (p.photometric == PHOTOMETRIC_YCBCR)
        return true;
    if (p.photometric > PHOTOMETRIC_PALETTE)
        throw Refusal(VOLT_ENOTSUP, "colours of kind " + std::to_string(p.photometric) +
                                        " are not supported; grey, RGB or a palette is");
    const bool few = p.bits == 1 || p.bits == 2 || p.bits == 4;
    const bool whole = p.bits == 8 || p.bits == 16 || p.bits == 32 || p.bits == 64;
    const bool number = p.type == SAMPLEFORMAT_UINT || p.type == SAMPLEFORMAT_INT ||
                        (p.type == SAMPLEFORMAT_IEEEFP && p.bits >= 32);
    if ((!few && !whole) || !number)
        throw Refusal(VOLT_ENOTSUP, "samples of " + bits + " bits" +
                                        (number ? "" : " of their type") +
                                        " are not supported; 1, 2, 4, 8, 16, 32 or 64 are");
    if ((few || p.photometric == PHOTOMETRIC_PALETTE) &&
        (p.samples != 1 || p.bits > 16 || p.type != SAMPLEFORMAT_UINT))
        throw Refusal(VOLT_ENOTSUP, std::to_string(p.samples) + " samples of " + bits +
                                        " bits a pixel are not supported in this arrangement");
    const bool grey = p.samples == 1 && p.photometric == PHOTOMETRIC_MINISBLACK;
    const bool colours =
        p.samples >= 3 && p.planar == PLANARCONFIG_CONTIG && p.photometric == PHOTOMETRIC_RGB;
    const bool narrow =
        p.bits == 8 || p.bits == 16 || (p.bits == 32 && p.type == SAMPLEFORMAT_IEEEFP);
    return !((grey || colours) && narrow && p.plain);
}

// -- Samples ---------------------------------------------------------------------------------

// Sample `i` of a row of packed samples.
unsigned sample_at(const unsigned char *row, std::size_t i, unsigned bits)
{
    if (bits == 8)
        return row[i];
    if (bits == 16) {
        std::uint16_t value;
        std::memcpy(&value, row + 2 * i, sizeof value);
        return value;
    }
    const std::size_t bit = i * bits;
    return row[bit / 8] >> (8 - bits - bit % 8) & ((1u << bits) - 1);
}

// Calls put(x, y, sample, row, i) for every sample of the page: it is the i-th of the row.
template <class Put> void each_row(TIFF *tiff, const Page &p, Put put)
{
    const bool apart = p.planar == PLANARCONFIG_SEPARATE && p.samples > 1;
    const std::uint16_t planes = apart ? p.samples : 1, inside = apart ? 1 : p.samples;
    std::vector<unsigned char> row(static_cast<std::size_t>(TIFFScanlineSize(tiff)));
    if (row.size() < (std::size_t(p.width) * inside * p.bits + 7) / 8)
        damaged("its rows are too short");
    for (std::uint16_t plane = 0; plane < planes; plane++) {
        for (std::uint32_t y = 0; y < p.height; y++) {
            if (TIFFReadScanline(tiff, row.data(), y, plane) != 1)
                damaged("it ends before its last row");
            for (std::size_t x = 0; x < p.width; x++)
                for (unsigned s = 0; s < inside; s++)
                    put(x, y, apart ? plane : s, row.data(), x * inside + s);
        }
    }
}

template <class Put> void each_tile(TIFF *tiff, const Page &p, Put put)
{
    const bool apart = p.planar == PLANARCONFIG_SEPARATE && p.samples > 1;
    const std::uint16_t planes = apart ? p.samples : 1, inside = apart ? 1 : p.samples;
    std::uint32_t wide = 0, high = 0;
    TIFFGetField(tiff, TIFFTAG_TILEWIDTH, &wide);
    TIFFGetField(tiff, TIFFTAG_TILELENGTH, &high);
    const auto row = static_cast<std::size_t>(TIFFTileRowSize(tiff));
    const auto size = static_cast<std::size_t>(TIFFTileSize(tiff));
    if (!wide || !high || row < (std::size_t(wide) * inside * p.bits + 7) / 8 ||
        size / high < row || size > (std::size_t(1) << 30))
        damaged("its tiles have no valid size");
    std::vector<unsigned char> tile(size);
    for (std::uint16_t plane = 0; plane < planes; plane++) {
        for (std::uint32_t y0 = 0; y0 < p.height; y0 += std::min(high, p.height - y0)) {
            for (std::uint32_t x0 = 0; x0 < p.width; x0 += std::min(wide, p.width - x0)) {
                if (TIFFReadTile(tiff, tile.data(), x0, y0, 0, plane) < 0)
                    damaged("it ends before its last tile");
                for (std::uint32_t y = 0; y < high && y0 + y < p.height; y++)
                    for (std::uint32_t x = 0; x < wide && x0 + x < p.width; x++)
                        for (unsigned s = 0; s < inside; s++)
                            put(std::size_t(x0) + x, y0 + y, apart ? plane : s, &tile[y * row],
                                std::size_t(x) * inside + s);
            }
        }
    }
}

// -- Values ----------------------------------------------------------------------------------

// What a stored value becomes: for a palette its colours.
struct Meaning {
    unsigned highest = 255;
    bool labels = false, white = false;
    std::vector<std::uint16_t> palette[3];

    bool is_grey() const
    {
        return palette[0] == palette[1] && palette[1] == palette[2];
    }
    unsigned grey(unsigned stored) const
    {
        if (labels)
            return stored;
        const unsigned value = white ? highest - stored : stored;
        return highest < 255 ? value * (255 / highest) : value;
    }
};

Meaning meaning_of(TIFF *tiff, const Page &p, bool labels)
{
    Meaning m;
    m.labels = labels;
    m.highest = p.bits <= 16 ? (1u << p.bits) - 1 : 0;
    m.white = p.photometric == PHOTOMETRIC_MINISWHITE && p.samples == 1 && p.bits <= 16 &&
              p.type == SAMPLEFORMAT_UINT;
    if (p.photometric != PHOTOMETRIC_PALETTE || labels)
        return m;
    std::uint16_t *map[3] = {nullptr, nullptr, nullptr};
    if (!TIFFGetField(tiff, TIFFTAG_COLORMAP, &map[0], &map[1], &map[2]) || !map[0] ||
        !map[1] || !map[2])
        damaged("it has no palette");
    bool wide = false; // some writers use 8 of the 16 bits
    for (const std::uint16_t *part : map)
        for (unsigned i = 0; i <= m.highest; i++)
            wide = wide || part[i] > 255;
    for (int c = 0; c < 3; c++)
        for (unsigned i = 0; i <= m.highest; i++)
            m.palette[c].push_back(wide ? static_cast<std::uint16_t>(map[c][i] >> 8)
                                        : map[c][i]);
    return m;
}

void put_value(TiffImage &out, std::size_t at, unsigned value)
{
    const auto wide = static_cast<std::uint16_t>(value);
    if (out.bytes == 1)
        out.planes.get()[at] = static_cast<char>(value);
    else
        std::memcpy(out.planes.get() + 2 * at, &wide, sizeof wide);
}

void read_page(TiffImage &out, TIFF *tiff, const Page &p, const Meaning &m, std::size_t page)
{
    const std::size_t plane = std::size_t(p.width) * p.height, volume = plane * out.pages;
    const bool copied = p.bits >= 8 && m.palette[0].empty() && (m.labels || !m.white);
    const auto put = [&](std::size_t x, std::size_t y, unsigned s, const unsigned char *row,
                         std::size_t i) {
        const std::size_t at = page * plane + y * p.width + x;
        if (copied)
            std::memcpy(out.planes.get() + (s * volume + at) * out.bytes, row + i * out.bytes,
                        out.bytes);
        else if (m.palette[0].empty())
            put_value(out, s * volume + at, m.grey(sample_at(row, i, p.bits)));
        else
            for (unsigned c = 0; c < out.samples; c++)
                put_value(out, c * volume + at, m.palette[c][sample_at(row, i, p.bits)]);
    };
    if (TIFFIsTiled(tiff))
        each_tile(tiff, p, put);
    else
        each_row(tiff, p, put);
}

// YCbCr: libtiff converts to colours.
void read_colours(TiffImage &out, TIFF *tiff, const Page &p, std::size_t page)
{
    const std::size_t plane = std::size_t(p.width) * p.height, volume = plane * out.pages;
    std::vector<std::uint32_t> raster(plane);
    if (!TIFFReadRGBAImageOriented(tiff, p.width, p.height, raster.data(), ORIENTATION_TOPLEFT,
                                   1))
        damaged("its colours cannot be decoded");
    for (std::size_t i = 0; i < plane; i++)
        for (unsigned c = 0; c < 3; c++)
            put_value(out, c * volume + page * plane + i, raster[i] >> 8 * c & 255);
}

void allocate(TiffImage &out)
{
    const auto memory = static_cast<std::size_t>(sysconf(_SC_PHYS_PAGES)) *
                        static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::size_t count = out.bytes;
    for (const std::uint32_t n : {out.width, out.height, out.pages, out.samples}) {
        if (__builtin_mul_overflow(count, std::size_t(n), &count) || count > memory)
            throw Refusal(VOLT_EFORMAT, "its pixels exceed this machine's memory");
    }
    out.planes.reset(static_cast<char *>(std::calloc(count, 1)));
    if (!out.planes)
        throw std::bad_alloc();
}
} // namespace

bool read_tiff(TiffImage &out, const std::string &path, bool voxels, bool labels)
{
    TIFFSetErrorHandler(listen);
    TIFFSetWarningHandler(listen_for_cuts);
    said.clear();
    const File file(TIFFOpen(path.c_str(), "rm"), TIFFClose);
    Page p;
    if (!file)
        return false; // ITK says why
    const std::vector<std::uint32_t> pages = pages_of(file.get(), p);
    if (!said.empty())
        throw Refusal(VOLT_EFORMAT, "it is cut: parts of its header are missing");
    if (!is_ours(p))
        return false;
    const bool colours = p.photometric == PHOTOMETRIC_YCBCR;
    TIFFSetDirectory(file.get(), static_cast<tdir_t>(pages[0]));
    out.width = p.width;
    out.height = p.height;
    out.pages = static_cast<std::uint32_t>(pages.size());
    const Meaning first = meaning_of(file.get(), p, labels);
    out.samples = colours ? 3 : first.palette[0].empty() ? p.samples : first.is_grey() ? 1 : 3;
    out.bytes = p.bits > 8 && first.palette[0].empty() && !colours ? p.bits / 8 : 1;
    out.type = colours                         ? TiffImage::Unsigned
               : p.type == SAMPLEFORMAT_IEEEFP ? TiffImage::Float
               : p.type == SAMPLEFORMAT_INT    ? TiffImage::Signed
                                               : TiffImage::Unsigned;
    if (!voxels)
        return true;
    allocate(out);
    said.clear();
    TIFFSetWarningHandler(listen); // of decoding: rows that are cut or broken
    for (std::size_t page = 0; page < pages.size(); page++) {
        if (!TIFFSetDirectory(file.get(), static_cast<tdir_t>(pages[page])))
            damaged("a page is missing");
        said.clear();
        const Meaning m = meaning_of(file.get(), p, labels);
        if (m.palette[0] != first.palette[0] || m.palette[1] != first.palette[1] ||
            m.palette[2] != first.palette[2])
            throw Refusal(VOLT_ENOTSUP, "its pages have different palettes");
        if (colours)
            read_colours(out, file.get(), p, page);
        else
            read_page(out, file.get(), p, m, page);
        if (!said.empty())
            damaged("");
    }
    return true;
}
