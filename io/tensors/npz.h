/* npz.h - arrays of floats in files that numpy.load reads and numpy.savez_compressed writes.
 *
 * Writing   one archive, arrays in sequence, each in pieces in C order.
 * Reading   untrusted: the archive as in zip.h, the array's header within bounds, its shape
 *           against the size of the data. float16, float32 and float64, little-endian, C order.
 * Threads   a reader belongs to one thread.
 */
#ifndef VOLT_IO_TENSORS_NPZ_H
#define VOLT_IO_TENSORS_NPZ_H
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "io/archive/zip.h"
VOLT_BEGIN_DECLS

#define VOLT_NPY_MAX_RANK 8

/* Starts the member "NAME.npy" of an open archive, float32 of `shape`; the caller writes the
 * elements with volt_zip_write and ends with volt_zip_end. */
VOLT_MUST_USE volt_status volt_npz_begin(volt_zip_writer *zip, const char *name,
                                         const int64_t *shape, int rank, int level);

/* An array that is read in pieces, in little memory. */
typedef struct volt_npz_reader volt_npz_reader;
/* Opens array `name` of `path`; it must have `rank` axes. The caller owns *out
 * (volt_npz_close). VOLT_EIO; VOLT_EFORMAT names file, array and error; VOLT_ENOTSUP:
 * an element type or order not listed above; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_npz_open(volt_npz_reader **out, const char *path,
                                        const char *name, int rank);
void volt_npz_close(volt_npz_reader *r); /* NULL is allowed */
/* Its `rank` extents, each at least 1; their product is the number of elements. */
const int64_t *volt_npz_shape(const volt_npz_reader *r);
/* Reads the next `count` elements as float32. VOLT_EFORMAT: fewer are left, or damaged (the CRC
 * is checked with the last one). */
VOLT_MUST_USE volt_status volt_npz_next(volt_npz_reader *r, float *out, size_t count);

typedef struct volt_npz_array {
    int rank;
    int64_t shape[VOLT_NPY_MAX_RANK];
    float *data; /* C order; owned (volt_free) */
} volt_npz_array;

/* Reads a whole array; errors as above. The caller owns out->data. */
VOLT_MUST_USE volt_status volt_npz_read(volt_npz_array *out, const char *path, const char *name,
                                        int rank);

VOLT_END_DECLS
#endif
