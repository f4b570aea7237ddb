/* A npz archive of probabilities: refused with a sentence, or read to its last element. */
#include "tests/fuzz/fuzz.h"

#include "io/tensors/npz.h"

enum { PIECE = 1000, MOST = 1 << 22 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float piece[PIECE];
    volt_npz_reader *r = NULL;
    volt_status st = volt_npz_open(&r, fuzz_file(data, size), "probabilities", 4);
    int64_t left = 1;

    if (st != VOLT_OK) {
        fuzz_require(!r && *volt_last_error());
        return 0;
    }
    for (int i = 0; i < 4; i++)
        left *= volt_npz_shape(r)[i];
    fuzz_require(left >= 1);
    for (left = left < MOST ? left : MOST; left > 0 && st == VOLT_OK; left -= PIECE)
        st = volt_npz_next(r, piece, (size_t)(left < PIECE ? left : PIECE));
    fuzz_require(st == VOLT_OK || *volt_last_error());
    volt_npz_close(r);
    return 0;
}
