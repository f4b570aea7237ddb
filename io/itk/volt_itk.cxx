// volt_itk.cxx - the helper program: ITK's readers and writers behind a socket (protocol.h).
//
// It is started for one file and ends with it. It opens the files it was given, enters its
// sandbox, and only then looks at their content. Damaged files may take it down; whoever
// started it notices. Nothing it prints is seen: readers that only print what is wrong are
// listened to.
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iostream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <strings.h>
#include <vector>

#include <zlib.h>

#include <itkGiplImageIO.h>
#include <itkMetaImageIO.h>
#include <itkNrrdImageIO.h>
#include <itkTIFFImageIO.h>

#include "base/status.h"
#include "io/itk/protocol.h"
#include "io/itk/refusal.h"
#include "io/itk/sandbox.h"
#include "io/itk/tiff.h"
#include "io/itk/writes.h"
#include "volume/volume.h"

namespace
{
using IO = itk::ImageIOBase;

constexpr int channel = 0; // the socket
constexpr std::size_t step = std::size_t(1) << 20;
constexpr std::uint64_t gipl_header = 256;                // bytes before the voxels
constexpr std::uint64_t slack = std::uint64_t(256) << 20; // bytes a reader needs besides voxels
unsigned confined;                                        // what the sandbox has

// -- The socket ------------------------------------------------------------------------------

void send_all(const void *data, std::size_t bytes)
{
    for (const char *at = static_cast<const char *>(data); bytes > 0;) {
        const ssize_t n = send(channel, at, bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            std::_Exit(3); // nobody listens
        at += n;
        bytes -= static_cast<std::size_t>(n);
    }
}

void receive_all(void *data, std::size_t bytes)
{
    for (char *at = static_cast<char *>(data); bytes > 0;) {
        const ssize_t n = recv(channel, at, bytes, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            std::_Exit(3);
        at += n;
        bytes -= static_cast<std::size_t>(n);
    }
}

volt_itk_message empty_message()
{
    volt_itk_message m;
    std::memset(&m, 0, sizeof m);
    std::memcpy(m.magic, VOLT_ITK_MAGIC, sizeof m.magic);
    return m;
}

void send_failure(volt_status status, const std::string &words)
{
    volt_itk_message m = empty_message();
    m.status = status;
    std::snprintf(m.sentence, sizeof m.sentence, "%s", words.c_str());
    send_all(&m, sizeof m);
}

// ITK's sentences without the address of the object and line breaks.
std::string plain(std::string words)
{
    const std::size_t object = words.find("): ");
    if (strncasecmp(words.c_str(), "itk", 3) == 0 && object != std::string::npos)
        words.erase(0, object + 3);
    words.erase(std::min(words.size(), words.find(" Reason: "))); // a stale errno
    for (char &c : words) {
        if (c == '\n' || c == '\r' || c == '\t')
            c = ' ';
    }
    while (!words.empty() && (words.back() == ' ' || words.back() == '.'))
        words.pop_back();
    return words;
}

// -- Formats ---------------------------------------------------------------------------------

bool ends_in(const std::string &path, const char *ending)
{
    const std::size_t n = std::strlen(ending);
    return path.size() > n && strcasecmp(path.c_str() + path.size() - n, ending) == 0;
}

IO::Pointer choose(const std::string &path, const char **format)
{
    IO::Pointer io;
    if (ends_in(path, ".mha") || ends_in(path, ".mhd")) {
        *format = "MetaImage";
        io = itk::MetaImageIO::New().GetPointer();
    } else if (ends_in(path, ".nrrd") || ends_in(path, ".nhdr")) {
        *format = "NRRD";
        io = itk::NrrdImageIO::New().GetPointer();
    } else if (ends_in(path, ".tif") || ends_in(path, ".tiff")) {
        *format = "TIFF";
        io = itk::TIFFImageIO::New().GetPointer();
    } else if (ends_in(path, ".gipl") || ends_in(path, ".gipl.gz")) {
        *format = "GIPL";
        io = itk::GiplImageIO::New().GetPointer();
    } else {
        throw Refusal(VOLT_ENOTSUP, "volt-itk does not support this file ending");
    }
    return io;
}

// One table for both ways; sizes of `long` are this machine's.
volt_dtype dtype_of(IO::IOComponentEnum type)
{
    using T = IO::IOComponentEnum;
    switch (type) {
    case T::UCHAR:
        return VOLT_U8;
    case T::CHAR:
        return VOLT_I8;
    case T::USHORT:
        return VOLT_U16;
    case T::SHORT:
        return VOLT_I16;
    case T::UINT:
        return VOLT_U32;
    case T::INT:
        return VOLT_I32;
    case T::ULONG:
        return sizeof(long) == 8 ? VOLT_U64 : VOLT_U32;
    case T::LONG:
        return sizeof(long) == 8 ? VOLT_I64 : VOLT_I32;
    case T::ULONGLONG:
        return VOLT_U64;
    case T::LONGLONG:
        return VOLT_I64;
    case T::FLOAT:
        return VOLT_F32;
    case T::DOUBLE:
        return VOLT_F64;
    default:
        throw Refusal(VOLT_ENOTSUP, "voxels of type " + IO::GetComponentTypeAsString(type) +
                                        " are not supported");
    }
}

std::size_t bytes_of(volt_dtype dtype)
{
    switch (dtype) {
    case VOLT_U8:
    case VOLT_I8:
        return 1;
    case VOLT_U16:
    case VOLT_I16:
        return 2;
    case VOLT_U32:
    case VOLT_I32:
    case VOLT_F32:
        return 4;
    default:
        return 8;
    }
}

IO::IOComponentEnum component_of(volt_dtype dtype)
{
    using T = IO::IOComponentEnum;
    static const T all[] = {T::UCHAR, T::CHAR,      T::USHORT,   T::SHORT, T::UINT,
                            T::INT,   T::ULONGLONG, T::LONGLONG, T::FLOAT, T::DOUBLE};
    if (dtype < VOLT_U8 || dtype > VOLT_F64)
        throw Refusal(VOLT_EINVAL, "voxels of an unknown type");
    return all[dtype - VOLT_U8];
}

// -- Checks before ITK opens a file ----------------------------------------------------------

std::uint64_t file_bytes(const std::string &path)
{
    struct stat info;
    return stat(path.c_str(), &info) == 0 ? static_cast<std::uint64_t>(info.st_size) : 0;
}

std::string trimmed(const std::string &text)
{
    const char *blank = " \t\r\n";
    const std::size_t first = text.find_first_not_of(blank);
    return first == std::string::npos
               ? ""
               : text.substr(first, text.find_last_not_of(blank) - first + 1);
}

// What is known before ITK looks.
struct Header {
    bool compressed = false;
    std::uint64_t bytes = UINT64_MAX; // no more voxels than these can be there
};

// ITK does not notice that a .gipl.gz ends early.
std::uint64_t inflated_bytes(const std::string &path)
{
    std::vector<char> piece(step);
    std::uint64_t bytes = 0;
    const gzFile file = gzopen(path.c_str(), "rb");
    int got = -1;
    while (file && (got = gzread(file, piece.data(), static_cast<unsigned>(piece.size()))) > 0)
        bytes += static_cast<std::uint64_t>(got);
    if (!file || gzclose(file) != Z_OK || got < 0)
        throw Refusal(VOLT_EFORMAT, "its compressed data is damaged or ends early");
    return bytes;
}

Header scan(const std::string &path, const std::string &format)
{
    std::ifstream file(path, std::ios::binary);
    Header h;
    if (format == "GIPL") {
        h.compressed = ends_in(path, ".gz");
        h.bytes = h.compressed ? inflated_bytes(path) : file_bytes(path);
        h.bytes = h.bytes > gipl_header ? h.bytes - gipl_header : 0;
    }
    return h;
}

// -- Describing ------------------------------------------------------------------------------

unsigned axes_of(IO *io)
{
    const unsigned axes = io->GetNumberOfDimensions();
    if (axes < 2 || axes > 4)
        throw Refusal(VOLT_ENOTSUP, "the number of axes is " + std::to_string(axes) +
                                        "; 2, 3 or, with channels, 4 is supported");
    if (axes == 4 && io->GetNumberOfComponents() > 1)
        throw Refusal(VOLT_ENOTSUP, "4 axes and several values a voxel; one of both is "
                                    "supported");
    return axes;
}

void set_sizes(volt_itk_message &m, IO *io, unsigned axes)
{
    std::uint64_t bytes = bytes_of(static_cast<volt_dtype>(m.dtype));
    m.axes = axes == 2 ? 2 : 3;
    m.channels = io->GetNumberOfComponents();
    m.n[2] = 1;
    for (unsigned a = 0; a < axes; a++) {
        const std::uint64_t n = io->GetDimensions(a);
        if (n < 1 || n > static_cast<std::uint64_t>(VOLT_ITK_MAX_EXTENT))
            throw Refusal(VOLT_EFORMAT, "the extent along axis " + std::to_string(a + 1) +
                                            " is " + std::to_string(n));
        if (a == 3)
            m.channels = static_cast<std::uint32_t>(n);
        else
            m.n[a] = static_cast<std::int64_t>(n);
    }
    for (const std::uint64_t n : {std::uint64_t(m.n[0]), std::uint64_t(m.n[1]),
                                  std::uint64_t(m.n[2]), std::uint64_t(m.channels)}) {
        if (__builtin_mul_overflow(bytes, n, &bytes))
            throw Refusal(VOLT_EFORMAT, "its voxels are more than any machine holds");
    }
    m.bytes = bytes;
}

void set_place(volt_itk_message &m, IO *io)
{
    for (unsigned a = 0; a < 3; a++) {
        const bool has = a < m.axes;
        m.spacing[a] = has ? io->GetSpacing(a) : 1;
        m.origin[a] = has ? io->GetOrigin(a) : 0;
        for (unsigned r = 0; r < 3; r++)
            m.direction[3 * r + a] = has && r < m.axes ? io->GetDirection(a)[r] : a == r;
    }
}

volt_itk_message describe(IO *io, const char *format, const std::string &path, const Header &h)
{
    volt_itk_message m = empty_message();
    using P = itk::CommonEnums::IOPixel;
    const P pixel = io->GetPixelType();
    if (pixel == P::COMPLEX || pixel == P::UNKNOWNPIXELTYPE)
        throw Refusal(VOLT_ENOTSUP, "voxels of kind " + IO::GetPixelTypeAsString(pixel) +
                                        " are not supported");
    m.dtype = dtype_of(io->GetComponentType());
    m.compressed = h.compressed;
    m.sandbox = confined;
    std::snprintf(m.format, sizeof m.format, "%s", format);
    set_sizes(m, io, axes_of(io));
    set_place(m, io);
    if (m.bytes > h.bytes)
        throw Refusal(VOLT_EFORMAT, "its header describes more voxels (bytes: " +
                                        std::to_string(m.bytes) + ") than its file of " +
                                        std::to_string(file_bytes(path)) + " can hold");
    return m;
}

// -- Reading ---------------------------------------------------------------------------------

// Zeroed pages that cost nothing until they are filled.
struct Buffer {
    char *data;
    explicit Buffer(std::size_t bytes) : data(static_cast<char *>(std::calloc(bytes, 1)))
    {
        if (!data)
            throw std::bad_alloc();
    }
    ~Buffer()
    {
        std::free(data);
    }
    Buffer(const Buffer &) = delete;
    Buffer &operator=(const Buffer &) = delete;
};

void set_region(IO *io)
{
    const unsigned axes = io->GetNumberOfDimensions();
    itk::ImageIORegion region(axes);
    for (unsigned a = 0; a < axes; a++) {
        region.SetIndex(a, 0);
        region.SetSize(a, io->GetDimensions(a));
    }
    io->SetIORegion(region);
}

// Interleaved values become planes, a piece at a time.
void send_planes(const char *voxels, std::size_t count, std::size_t values, std::size_t wide)
{
    std::vector<char> piece(step);
    const std::size_t at_once = step / wide;
    for (std::size_t c = 0; c < values; c++) {
        for (std::size_t at = 0; at < count; at += at_once) {
            const std::size_t n = std::min(at_once, count - at);
            for (std::size_t i = 0; i < n; i++)
                std::memcpy(&piece[i * wide], voxels + ((at + i) * values + c) * wide, wide);
            send_all(piece.data(), n * wide);
        }
    }
}

// Before ITK allocates anything for them, the caller agrees to the size of the voxels.
void wait_for_consent(const volt_itk_message &m, std::uint64_t memory)
{
    char consent;
    receive_all(&consent, 1);
    // The voxels as they are in the file, inflated, and permuted.
    volt_sandbox_limit_memory(slack + 3 * m.bytes, memory);
}

// Kinds of TIFF that ITK would turn into colours; false: all others.
bool read_as_stored(const std::string &path, bool voxels, bool labels, std::uint64_t memory)
{
    TiffImage t;
    volt_itk_message m = empty_message();
    if (!read_tiff(t, path, false, labels))
        return false;
    static const volt_dtype types[3][4] = {{VOLT_U8, VOLT_U16, VOLT_U32, VOLT_U64},
                                           {VOLT_I8, VOLT_I16, VOLT_I32, VOLT_I64},
                                           {VOLT_F32, VOLT_F32, VOLT_F32, VOLT_F64}};
    m.dtype = types[t.type][t.bytes == 8 ? 3 : t.bytes / 2];
    m.axes = t.pages > 1 ? 3 : 2;
    m.channels = t.samples;
    m.n[0] = t.width;
    m.n[1] = t.height;
    m.n[2] = t.pages;
    m.bytes = std::uint64_t(t.bytes) * t.samples * t.width * t.height * t.pages;
    m.sandbox = confined;
    for (int a = 0; a < 3; a++)
        m.spacing[a] = m.direction[4 * a] = 1;
    std::snprintf(m.format, sizeof m.format, "TIFF");
    send_all(&m, sizeof m);
    if (!voxels)
        return true;
    wait_for_consent(m, memory);
    read_tiff(t, path, true, labels);
    send_all(&m, sizeof m);
    send_all(t.planes.get(), m.bytes);
    return true;
}

void read(const std::string &path, bool voxels, bool labels, std::uint64_t memory)
{
    const char *format;
    IO::Pointer io = choose(path, &format);
    if (std::strcmp(format, "TIFF") == 0 && read_as_stored(path, voxels, labels, memory))
        return;
    const Header header = scan(path, format);
    if (!io->CanReadFile(path.c_str()))
        throw Refusal(VOLT_EFORMAT, std::string("it is not a ") + format + " file");
    io->SetFileName(path);
    io->ReadImageInformation();
    volt_itk_message m = describe(io, format, path, header);
    send_all(&m, sizeof m);
    if (!voxels)
        return;
    wait_for_consent(m, memory);
    Buffer buffer(m.bytes);
    std::ostringstream said; // MetaIO prints that voxels are missing, and goes on
    std::streambuf *const before = std::cerr.rdbuf(said.rdbuf());
    set_region(io);
    io->Read(buffer.data);
    std::cerr.rdbuf(before);
    if (std::strcmp(format, "MetaImage") == 0 && !trimmed(said.str()).empty())
        throw Refusal(VOLT_EFORMAT, plain(trimmed(said.str())));
    send_all(&m, sizeof m);
    const std::size_t values = io->GetNumberOfComponents();
    if (values == 1)
        send_all(buffer.data, m.bytes);
    else
        send_planes(buffer.data, m.bytes / values / bytes_of(static_cast<volt_dtype>(m.dtype)),
                    values, bytes_of(static_cast<volt_dtype>(m.dtype)));
}

// -- Writing ---------------------------------------------------------------------------------

itk::CommonEnums::IOPixel pixel_of(std::uint32_t channels)
{
    using P = itk::CommonEnums::IOPixel;
    return channels == 1   ? P::SCALAR
           : channels == 3 ? P::RGB
           : channels == 4 ? P::RGBA
                           : P::VECTOR;
}

void prepare(IO *io, const volt_itk_message &m, const std::string &path)
{
    io->SetFileName(path);
    io->SetNumberOfDimensions(m.axes);
    io->SetComponentType(component_of(static_cast<volt_dtype>(m.dtype)));
    io->SetPixelType(pixel_of(m.channels));
    io->SetNumberOfComponents(m.channels);
    for (unsigned a = 0; a < m.axes; a++) {
        std::vector<double> axis(m.axes);
        for (unsigned r = 0; r < m.axes; r++)
            axis[r] = m.direction[3 * r + a];
        io->SetDimensions(a, static_cast<IO::SizeValueType>(m.n[a]));
        io->SetSpacing(a, m.spacing[a]);
        io->SetOrigin(a, m.origin[a]);
        io->SetDirection(a, axis);
    }
    io->SetUseCompression(true);
    if (dynamic_cast<itk::TIFFImageIO *>(io))
        io->SetCompressor("DEFLATE");
    set_region(io);
}

// Planes become interleaved values.
void receive_planes(char *voxels, std::size_t count, std::size_t values, std::size_t wide)
{
    std::vector<char> piece(step);
    const std::size_t at_once = step / wide;
    for (std::size_t c = 0; c < values; c++) {
        for (std::size_t at = 0; at < count; at += at_once) {
            const std::size_t n = std::min(at_once, count - at);
            receive_all(piece.data(), n * wide);
            for (std::size_t i = 0; i < n; i++)
                std::memcpy(voxels + ((at + i) * values + c) * wide, &piece[i * wide], wide);
        }
    }
}

// The names that ITK gives to files of voxels, which are apart from some headers.
void allow_outputs(const std::string &path)
{
    const std::string stem = path.substr(0, path.rfind('.'));
    std::vector<std::string> names = {path};
    if (ends_in(path, ".mhd"))
        names.insert(names.end(), {stem + ".raw", stem + ".zraw"});
    if (ends_in(path, ".nhdr"))
        names.insert(names.end(), {stem + ".raw", stem + ".raw.gz"});
    for (const std::string &name : names) {
        const int bad = volt_sandbox_allow_writing(name.c_str());
        if (bad)
            throw Refusal(VOLT_EIO, "cannot create it: " + std::string(std::strerror(bad)));
    }
}

void check_writes()
{
    if (volt_writes_error())
        throw Refusal(VOLT_EIO,
                      "cannot write it: " + std::string(std::strerror(volt_writes_error())));
}

void write(const std::string &path, std::uint64_t memory)
{
    volt_itk_message m;
    const char *format;
    receive_all(&m, sizeof m);
    if (std::memcmp(m.magic, VOLT_ITK_MAGIC, sizeof m.magic) != 0)
        throw Refusal(VOLT_EINVAL, "volt-itk and volt have different versions");
    allow_outputs(path);
    volt_sandbox_limit_memory(slack + 3 * m.bytes, memory);
    volt_sandbox_limit_files(m.bytes + m.bytes / 8 + slack);
    volt_writes_watch();
    confined = volt_sandbox_enter();
    IO::Pointer io = choose(path, &format);
    prepare(io, m, path);
    const std::size_t wide = bytes_of(static_cast<volt_dtype>(m.dtype));
    Buffer buffer(m.bytes);
    if (m.channels == 1)
        receive_all(buffer.data, m.bytes);
    else
        receive_planes(buffer.data, m.bytes / m.channels / wide, m.channels, wide);
    try {
        io->Write(buffer.data);
    } catch (const itk::ExceptionObject &) {
        check_writes(); // says more than ITK does
        throw;
    }
    io = nullptr; // closes the file
    check_writes();
    if (file_bytes(path) == 0)
        throw Refusal(VOLT_EIO, "nothing was written");
    m = empty_message();
    send_all(&m, sizeof m);
}

void allow_inputs(const std::string &path, int count, char **voxels)
{
    const int bad = volt_sandbox_allow_reading(path.c_str(), true);
    if (bad)
        throw Refusal(bad == EINVAL ? VOLT_EFORMAT : VOLT_EIO,
                      bad == EINVAL ? "it is not a regular file"
                                    : "cannot open it: " + std::string(std::strerror(bad)));
    for (int i = 0; i < count; i++) {
        const int why = volt_sandbox_allow_reading(voxels[i], false);
        const std::string name = "its voxel file " + std::string(voxels[i]);
        if (why == ELOOP)
            throw Refusal(VOLT_EFORMAT, name + " is a symbolic link, which is not followed");
        if (why == EINVAL)
            throw Refusal(VOLT_EFORMAT, name + " is not a regular file");
        if (why)
            throw Refusal(VOLT_EIO, name + " cannot be opened: " + std::strerror(why));
    }
}

// Paths are relative to the file's folder from here on.
std::string go_to_folder(const std::string &path)
{
    const std::size_t slash = path.rfind('/');
    if (slash == std::string::npos)
        return path;
    if (chdir(path.substr(0, slash + 1).c_str()) != 0)
        throw Refusal(VOLT_EIO, "cannot open its folder: " + std::string(std::strerror(errno)));
    return path.substr(slash + 1);
}

void run(int argc, char **argv)
{
    const std::string verb = argv[1];
    const std::uint64_t memory = std::strtoull(argv[2], nullptr, 10);
    const std::uint64_t seconds = std::strtoull(argv[3], nullptr, 10);
    const std::string path = go_to_folder(argv[4]);
    volt_sandbox_limit_seconds(seconds);
    if (verb == "write") {
        write(path, memory);
        return;
    }
    if (verb != "info" && verb != "read" && verb != "labels")
        throw Refusal(VOLT_EINVAL, "volt-itk has no command " + verb);
    allow_inputs(path, argc - 5, argv + 5);
    volt_sandbox_limit_memory(slack, memory);
    volt_sandbox_limit_files(0);
    confined = volt_sandbox_enter();
    read(path, verb != "info", verb == "labels", memory);
}

// No descendant of a program that is gone.
void settle()
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    itk::Object::SetGlobalWarningDisplay(false);
}
} // namespace

int main(int argc, char **argv)
{
    struct stat info;
    if (argc < 5 || fstat(channel, &info) != 0 || !S_ISSOCK(info.st_mode)) {
        std::cerr << "volt-itk reads and writes images for volt, which starts it\n";
        return 2;
    }
    settle();
    try {
        run(argc, argv);
    } catch (const Refusal &e) {
        send_failure(e.status, e.what());
    } catch (const itk::ExceptionObject &e) {
        send_failure(VOLT_EFORMAT, plain(e.GetDescription()));
    } catch (const std::bad_alloc &) {
        send_failure(VOLT_ENOMEM, "there is not enough memory for its voxels");
    } catch (const std::exception &e) {
        send_failure(VOLT_EFORMAT, plain(e.what()));
    } catch (...) {
        send_failure(VOLT_EFORMAT, "ITK failed without a reason");
    }
    return 0;
}
