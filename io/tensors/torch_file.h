/* torch_file.h - the tensors of a file written by torch.save, by name and without copying.
 *
 * Two formats are read: zip (torch 1.6 and later) and the legacy one (magic number, pickles,
 * raw storages). The file is mapped and untrusted: types, storages, offsets, shapes and strides
 * of every tensor are checked against the storage's bytes on opening. Tensors that share memory
 * remain tensors of one storage.
 *
 * Threads   an open file is read-only and may be shared.
 */
#ifndef VOLT_IO_TENSORS_TORCH_FILE_H
#define VOLT_IO_TENSORS_TORCH_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "io/tensors/pickle.h"
#include "io/tensors/safetensors.h"
VOLT_BEGIN_DECLS

/* A tensor of the state dict; everything is borrowed. */
typedef struct volt_torch_tensor {
    /* `data` is the first element, `bytes` the product of the shape; the elements are
     * contiguous only if `dense`. Possibly unaligned: use memcpy. */
    volt_tensor_view view;
    int64_t stride[VOLT_TENSOR_MAX_RANK]; /* elements */
    bool dense;                           /* row-major without gaps */
    int64_t alias;                        /* index of the first tensor with the same data and
                                           * shape, possibly its own */
} volt_torch_tensor;

typedef struct volt_torch_file volt_torch_file;

/* True when the data starts as one of the two formats. */
bool volt_torch_is(const void *data, size_t bytes);
/* Opens `path`; the caller owns *out (volt_torch_close). The tensors are those of the state
 * dict: the file's object itself when it is a dict of tensors, else what it holds under
 * "network_weights" (nnU-Net), "state_dict", "model_state_dict", "model" or "net".
 * VOLT_EIO, VOLT_EFORMAT (damaged, or no state dict: the sentence names the keys found),
 * VOLT_ENOTSUP (an opcode, type or storage outside the lists, by name), VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_torch_open(volt_torch_file **out, const char *path);
void volt_torch_close(volt_torch_file *file); /* NULL is allowed */
size_t volt_torch_count(const volt_torch_file *file);
const volt_torch_tensor *volt_torch_at(const volt_torch_file *file, size_t index);
/* The whole object, for what is stored next to the weights. */
const volt_pickle_value *volt_torch_root(const volt_torch_file *file);

VOLT_END_DECLS
#endif
