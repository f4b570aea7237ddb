/* file.h - files that appear whole or not at all, bounded reads, and paths.
 *
 * Paths are UTF-8 bytes. Messages name the path and the system's reason.
 *
 * Threads   calls on different objects may run at the same time.
 */
#ifndef VOLT_BASE_SYSTEM_FILE_H
#define VOLT_BASE_SYSTEM_FILE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/names.h"
#include "base/status.h"
VOLT_BEGIN_DECLS

/* A read-only view of a whole regular file. */
typedef struct volt_map {
    const unsigned char *data; /* NULL when the file is empty */
    size_t bytes;
} volt_map;

/* Maps `path`. VOLT_EIO: missing, no permission; VOLT_EFORMAT: not a regular file. If another
 * program truncates the file while it is mapped, what is missing reads as zeros: readers call
 * volt_map_check() when they are done. For this the first map installs a handler of SIGBUS,
 * which passes on the faults of others. */
VOLT_MUST_USE volt_status volt_map_open(volt_map *out, const char *path);
/* `data` points into a map, or somewhere else, which is fine, as is NULL. VOLT_EIO, which names
 * `path`, if a part of the mapped file was missing when it was read, or is missing now. */
VOLT_MUST_USE volt_status volt_map_check(const void *data, const char *path);
/* `bytes` of a mapped file at `from` are not needed soon: their whole pages leave this
 * process's memory. They may be read again. */
void volt_map_dontneed(const void *from, size_t bytes);
void volt_map_close(volt_map *map); /* clears it; an empty one is allowed */

/* Reads `path` into new memory, NUL-terminated; the caller owns *out (volt_free). `bytes` (NULL
 * allowed) gets the size. VOLT_EFORMAT: larger than `limit` bytes; VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_read_file(char **out, size_t *bytes, const char *path,
                                         size_t limit);

/* An output file: written as a temporary file (temporary.h) in the target's folder, renamed on
 * commit. Its permissions are those of any new file. */
typedef struct volt_out volt_out;
VOLT_MUST_USE volt_status volt_out_open(volt_out **out, const char *path);
VOLT_MUST_USE volt_status volt_out_write(volt_out *f, const void *data, size_t bytes);
/* Overwrites `bytes` at `offset` within what was written already. */
VOLT_MUST_USE volt_status volt_out_patch(volt_out *f, uint64_t offset, const void *data,
                                         size_t bytes);
/* fsync, rename to the target, fsync of the folder. Frees *f and sets it to NULL, also on
 * failure, which leaves the target unchanged and removes the temporary file. */
VOLT_MUST_USE volt_status volt_out_commit(volt_out **f);
void volt_out_abort(volt_out **f); /* removes the temporary file; NULL is allowed */
/* Removes a folder with its content, as far as possible; links are not followed. */
void volt_remove_folder(const char *path);
/* Opens, writes and commits one block of memory. */
VOLT_MUST_USE volt_status volt_write_file(const char *path, const void *data, size_t bytes);
/* Appends one block to `path`, which is created if absent. */
VOLT_MUST_USE volt_status volt_append_file(const char *path, const void *data, size_t bytes);

/* Size and modification time (ns since 1970), by which a changed file is recognized. VOLT_EIO.
 */
VOLT_MUST_USE volt_status volt_file_stat(int64_t *bytes, int64_t *modified_ns,
                                         const char *path);
/* Free space of the file system of `folder`, in bytes this user may write. VOLT_EIO. */
VOLT_MUST_USE volt_status volt_disk_free(int64_t *bytes, const char *folder);
bool volt_path_exists(const char *path);
bool volt_path_is_dir(const char *path);
bool volt_path_is_writable_dir(const char *path);
/* Whether both exist and are the same file or folder, by whatever names. */
bool volt_path_is_same(const char *a, const char *b);
/* "a/b" from "a" and "b"; the caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_path_join(char **out, const char *folder, const char *name);
/* The part after the last '/'; borrowed from `path`. */
const char *volt_path_name(const char *path);
/* The absolute path without symbolic links; the caller owns *out (volt_free). VOLT_EIO. */
VOLT_MUST_USE volt_status volt_path_real(char **out, const char *path);
/* The user's cache folder, $XDG_CACHE_HOME/volt or ~/.cache/volt, which may not exist yet. The
 * caller owns *out (volt_free). VOLT_EIO: neither XDG_CACHE_HOME nor HOME is a path. */
VOLT_MUST_USE volt_status volt_cache_folder(char **out);
/* Creates `path` and missing parents. */
VOLT_MUST_USE volt_status volt_make_dirs(const char *path);
/* Names in a folder, sorted bytewise, without ".", "..", lock files and temporary files. The
 * caller owns what *out holds. */
VOLT_MUST_USE volt_status volt_list_dir(volt_names *out, const char *folder);

double volt_seconds(void); /* monotonic clock, s */

VOLT_END_DECLS
#endif
