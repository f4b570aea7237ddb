/* A file of torch.save: every number of an accepted one can be read. */
#include "tests/fuzz/fuzz.h"

#include "base/core/alloc.h"
#include "nets3d/interop/weights.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    volt_weights *w = NULL;

    if (volt_weights_open(&w, fuzz_file(data, size)) != VOLT_OK) {
        fuzz_require(!w && *volt_last_error());
        return 0;
    }
    for (size_t i = 0; i < volt_weights_count(w); i++) {
        const volt_tensor_view *v = volt_weights_view(w, i);
        const int64_t count = (int64_t)(v->bytes / volt_tensor_type_bytes(v->type));
        const volt_torch_file *torch = volt_weights_torch(w);
        float *out = NULL;
        /* Strides of 0 let a small file describe a large tensor. */
        if (count > 1 << 20)
            continue;
        fuzz_require(!torch || volt_torch_at(torch, i)->alias <= (int64_t)i);
        fuzz_require(volt_weights_find(w, volt_weights_name(w, i)) == (int64_t)i);
        if (volt_alloc(&out, ((size_t)count + 1) * sizeof *out, "numbers") == VOLT_OK &&
            volt_weights_copy(out, w, i, count) != VOLT_OK)
            fuzz_require(*volt_last_error());
        volt_free(out);
    }
    volt_weights_close(w);
    return 0;
}
