/* safetensors.h - named tensors in one file, in the format of Hugging Face's safetensors.
 *
 * File      u64 little-endian header length N; N bytes of JSON {"__metadata__": {key: string},
 *           NAME: {"dtype", "shape", "data_offsets": [from, to]}}, padded with spaces to 8
 *           bytes; then the tensors' data, contiguous, row-major, little-endian.
 * Reading   the file is mapped and untrusted: header length and depth, types, shape products,
 *           offsets (no overlap, no gap, nothing left over) and duplicate names are checked.
 * Checksum  files written here have "volt_crc32" in their metadata, eight hex digits over the
 *           data section; if present it is verified on opening.
 * Threads   an open file is read-only and may be shared.
 */
#ifndef VOLT_IO_TENSORS_SAFETENSORS_H
#define VOLT_IO_TENSORS_SAFETENSORS_H
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_TENSOR_MAX_RANK 8

typedef enum volt_tensor_type {
    VOLT_TENSOR_F64 = 1,
    VOLT_TENSOR_F32,
    VOLT_TENSOR_F16,
    VOLT_TENSOR_BF16,
    VOLT_TENSOR_I64,
    VOLT_TENSOR_I32,
    VOLT_TENSOR_I16,
    VOLT_TENSOR_I8,
    VOLT_TENSOR_U64,
    VOLT_TENSOR_U32,
    VOLT_TENSOR_U16,
    VOLT_TENSOR_U8,
    VOLT_TENSOR_BOOL
} volt_tensor_type;

size_t volt_tensor_type_bytes(volt_tensor_type type);     /* 0 for an unknown value */
const char *volt_tensor_type_name(volt_tensor_type type); /* "F32"; never NULL */

/* One tensor; everything is borrowed. Rank 0 is a single number; extents may be 0. */
typedef struct volt_tensor_view {
    const char *name; /* 1..1023 bytes of UTF-8 */
    volt_tensor_type type;
    int rank; /* 0..VOLT_TENSOR_MAX_RANK */
    int64_t shape[VOLT_TENSOR_MAX_RANK];
    const void *data; /* possibly unaligned in files of other programs: use memcpy */
    size_t bytes;     /* product of the shape times the type's bytes */
} volt_tensor_view;

typedef struct volt_safetensors volt_safetensors;

/* Opens and checks `path`; the caller owns *out (volt_safetensors_close). Views live as long as
 * it does. VOLT_EIO, VOLT_EFORMAT, VOLT_ENOTSUP (a type or rank not listed above). */
VOLT_MUST_USE volt_status volt_safetensors_open(volt_safetensors **out, const char *path);
void volt_safetensors_close(volt_safetensors *file); /* NULL is allowed */
size_t volt_safetensors_count(const volt_safetensors *file);
/* Tensor `index` < count, in file order. */
const volt_tensor_view *volt_safetensors_at(const volt_safetensors *file, size_t index);
const volt_tensor_view *volt_safetensors_find(const volt_safetensors *file,
                                              const char *name); /* NULL: absent */
/* The metadata string of `key`, borrowed; NULL when absent. */
const char *volt_safetensors_metadata(const volt_safetensors *file, const char *key);
/* Copies tensor `name` to `out` if it has exactly this type, rank and shape. VOLT_EFORMAT names
 * the file, the tensor and the difference. */
VOLT_MUST_USE volt_status volt_safetensors_copy(void *out, const volt_safetensors *file,
                                                const char *name, volt_tensor_type type,
                                                int rank, const int64_t *shape);

typedef struct volt_metadata {
    const char *key, *value; /* UTF-8 */
} volt_metadata;

/* Writes the tensors in the given order, whole or not at all; the widest types first keep all
 * of them aligned. `bytes` of each view must match its shape. VOLT_EINVAL (also a duplicate
 * name), VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_safetensors_write(const char *path,
                                                 const volt_tensor_view *tensors, size_t count,
                                                 const volt_metadata *metadata,
                                                 size_t metadata_count);

VOLT_END_DECLS
#endif
