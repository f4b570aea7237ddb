/* zip.h - zip archives including zip64, the container of torch's checkpoints and numpy's npz.
 *
 * Reading   the file is mapped and untrusted. The end record, the central directory and every
 *           local header are checked on opening: each member lies inside the file, before the
 *           directory, and no two overlap (so that a small file cannot expand without limit);
 *           names are unique UTF-8 without a NUL, a backslash, a leading '/' or a ".." part.
 *           Encrypted members, methods other than stored and deflate, and archives split over
 *           disks are refused. CRC and size are verified when a member is read.
 * Writing   whole or not at all. Stored members start at a multiple of VOLT_ZIP_ALIGN bytes, so
 *           that their data can be used in place. No times are stored: the same members give
 *           the same bytes. zip64 where a size needs it.
 * Threads   an open archive is read-only and may be shared; a writer or a stream belongs to one
 *           thread.
 */
#ifndef VOLT_IO_ARCHIVE_ZIP_H
#define VOLT_IO_ARCHIVE_ZIP_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
VOLT_BEGIN_DECLS

#define VOLT_ZIP_ALIGN 64

/* One member; everything is borrowed from the archive. */
typedef struct volt_zip_member {
    const char *name;   /* "archive/data.pkl"; 1..1023 bytes */
    bool deflated;      /* else stored: `packed` is the content */
    bool is_link;       /* a symbolic link, whose content is its target */
    uint32_t crc;       /* of the content */
    const void *packed; /* as in the file */
    size_t packed_bytes;
    size_t bytes; /* of the content; at most 1032 times packed_bytes */
} volt_zip_member;

typedef struct volt_zip volt_zip;

/* True when `data` starts like a zip archive that has members. */
bool volt_zip_is(const void *data, size_t bytes);
/* Opens and checks `path`; the caller owns *out (volt_zip_close). VOLT_EIO, VOLT_EFORMAT,
 * VOLT_ENOTSUP, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_zip_open(volt_zip **out, const char *path);
void volt_zip_close(volt_zip *zip); /* NULL is allowed */
size_t volt_zip_count(const volt_zip *zip);
/* Member `index` < count, in the order of the directory. */
const volt_zip_member *volt_zip_at(const volt_zip *zip, size_t index);
const volt_zip_member *volt_zip_find(const volt_zip *zip, const char *name); /* NULL: absent */
/* Reads the content into new memory, NUL-terminated; the caller owns *out (volt_free).
 * VOLT_EFORMAT: more than `limit` bytes, damaged, wrong CRC; VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_zip_read(char **out, size_t *bytes, const volt_zip *zip,
                                        const volt_zip_member *member, size_t limit);
/* The content of a stored member in place, after verifying its CRC; borrowed. VOLT_ENOTSUP: a
 * deflated member. */
VOLT_MUST_USE volt_status volt_zip_view(const void **out, const volt_zip *zip,
                                        const volt_zip_member *member);

/* A member's content in pieces, from its start, in little memory. */
typedef struct volt_zip_stream volt_zip_stream;
/* The caller owns *out (volt_zip_stream_close); the archive must stay open. VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_zip_stream_open(volt_zip_stream **out, const volt_zip *zip,
                                               const volt_zip_member *member);
void volt_zip_stream_close(volt_zip_stream *s); /* NULL is allowed */
/* Reads the next `bytes`; CRC and end are verified with the last ones. VOLT_EFORMAT: damaged,
 * or fewer are left. */
VOLT_MUST_USE volt_status volt_zip_stream_read(volt_zip_stream *s, void *out, size_t bytes);

/* A new archive. */
typedef struct volt_zip_writer volt_zip_writer;
VOLT_MUST_USE volt_status volt_zip_create(volt_zip_writer **out, const char *path);
/* Starts a member; `level` 0 stores, 1..9 are zlib's. VOLT_EINVAL: a name that the reader would
 * refuse, or a name already used. */
VOLT_MUST_USE volt_status volt_zip_begin(volt_zip_writer *zip, const char *name, int level);
VOLT_MUST_USE volt_status volt_zip_write(volt_zip_writer *zip, const void *data, size_t bytes);
VOLT_MUST_USE volt_status volt_zip_end(volt_zip_writer *zip);
/* All three for one block of memory. */
VOLT_MUST_USE volt_status volt_zip_add(volt_zip_writer *zip, const char *name, const void *data,
                                       size_t bytes, int level);
/* Finishes the archive, frees *zip and sets it to NULL, also on failure. */
VOLT_MUST_USE volt_status volt_zip_commit(volt_zip_writer **zip);
void volt_zip_abort(volt_zip_writer **zip); /* leaves no file; NULL is allowed */

VOLT_END_DECLS
#endif
