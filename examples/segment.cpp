// segment - segments an array in memory with a trained network, in C++17.
//
// usage: segment RUN IN.raw CHANNELS DEPTH HEIGHT WIDTH SPACING OUT.raw    (see segment.c)
#include <cstdint>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>
#include <volt/volt.h>

namespace
{

// What a call of VOLT returns through a pointer, freed when it leaves its scope.
struct Free {
    void operator()(volt_predictor *p) const
    {
        volt_predictor_free(p);
    }
    void operator()(volt_volume *v) const
    {
        volt_volume_free(v);
    }
};
using Predictor = std::unique_ptr<volt_predictor, Free>;
using Volume = std::unique_ptr<volt_volume, Free>;

// A failure becomes an exception with VOLT's sentence.
void check(volt_status status)
{
    if (status != VOLT_OK)
        throw std::runtime_error(volt_last_error());
}

Predictor open_run(const char *run)
{
    volt_predictor *p = nullptr;
    check(volt_predictor_open(&p, &run, 1, nullptr, nullptr));
    return Predictor(p);
}

// Segments voxels that the caller holds, (channel, z, y, x).
Volume segment(const Predictor &predictor, std::vector<std::int16_t> &voxels,
               const volt_grid &grid)
{
    volt_volume image = {};
    image.grid = grid;
    image.dtype = VOLT_I16;
    image.data = voxels.data(); // borrowed: `image` is never freed
    volt_volume *labels = nullptr;
    check(volt_predictor_run(predictor.get(), &image, &labels, nullptr));
    return Volume(labels);
}

void run(char **argv)
{
    const std::int64_t size[3] = {std::stoll(argv[4]), std::stoll(argv[5]),
                                  std::stoll(argv[6])};
    const double mm = std::stod(argv[7]), spacing[3] = {mm, mm, mm};
    const volt_grid grid = volt_grid_make(size, std::stoi(argv[3]), spacing);
    check(volt_grid_check(&grid, argv[2]));

    std::vector<std::int16_t> voxels(
        static_cast<std::size_t>(volt_grid_voxels(&grid) * grid.channels));
    const auto bytes = static_cast<std::streamsize>(voxels.size() * sizeof voxels[0]);
    if (!std::ifstream(argv[2], std::ios::binary)
             .read(reinterpret_cast<char *>(voxels.data()), bytes))
        throw std::runtime_error(std::string(argv[2]) + " is too short");

    const Predictor predictor = open_run(argv[1]);
    const Volume labels = segment(predictor, voxels, grid);

    const volt_dataset_info *info = volt_predictor_info(predictor.get());
    for (int i = 1; i < info->labels; i++) {
        std::int64_t count = 0;
        for (std::int64_t v = 0; v < volt_grid_voxels(&labels->grid); v++)
            count += volt_voxel_value(labels.get(), v) == info->label[i].value;
        std::cout << info->label[i].name << ": " << count << " voxels\n";
    }
    std::ofstream out(argv[8], std::ios::binary);
    out.write(static_cast<const char *>(labels->data),
              static_cast<std::streamsize>(volt_volume_bytes(labels.get())));
    if (!out.flush())
        throw std::runtime_error(std::string(argv[8]) + " cannot be written");
}

} // namespace

int main(int argc, char **argv)
{
    if (argc != 9) {
        std::cerr << "usage: segment RUN IN.raw CHANNELS DEPTH HEIGHT WIDTH SPACING OUT.raw\n";
        return 2;
    }
    try {
        run(argv);
    } catch (const std::exception &e) {
        std::cerr << "segment: " << e.what() << '\n';
        return 1;
    }
    return 0;
}
