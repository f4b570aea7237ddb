/* file.h - files that appear whole or not at all, bounded reads, and paths.
 *
 * Paths are UTF-8 bytes. Every message names the path and the system's reason.
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

/* Maps `path`; VOLT_EIO (missing, no permission), VOLT_EFORMAT (not a regular file). A file
 * shortened by another program while mapped raises SIGBUS: store files are never shortened,
 * only replaced. */
VOLT_MUST_USE volt_status volt_map_open(volt_map *out, const char *path);
/* `bytes` of a mapped file at `from` are not needed again soon: whole pages of them leave this
 * process's memory. Reading them again is allowed. */
void volt_map_dontneed(const void *from, size_t bytes);
void volt_map_close(volt_map *map); /* clears it; an empty one is allowed */

/* Reads at most `limit` bytes of `path` into new memory, NUL-terminated; the caller owns *out
 * (volt_free). VOLT_EFORMAT when the file is larger. */
VOLT_MUST_USE volt_status volt_read_file(char **out, size_t *bytes, const char *path,
                                         size_t limit);

/* An output file: written under a temporary name beside the target, renamed on commit. */
typedef struct volt_out volt_out;
VOLT_MUST_USE volt_status volt_out_open(volt_out **out, const char *path);
VOLT_MUST_USE volt_status volt_out_write(volt_out *f, const void *data, size_t bytes);
/* Overwrites `bytes` at `offset`, which must lie in what was written already. */
VOLT_MUST_USE volt_status volt_out_patch(volt_out *f, uint64_t offset, const void *data,
                                         size_t bytes);
/* fsync, rename over the target, fsync of the folder. Frees *f and sets it to NULL, also on
 * failure; on failure the target is as it was and the temporary file is gone. */
VOLT_MUST_USE volt_status volt_out_commit(volt_out **f);
void volt_out_abort(volt_out **f); /* removes the temporary; NULL allowed */
/* Removes from `folder` what writers that were killed left behind: temporary files of targets
 * whose name matches `pattern` (as fnmatch). Only where nobody else writes now. `removed` (NULL
 * allowed) gets their number; a folder that is not there has none. VOLT_EIO. */
VOLT_MUST_USE volt_status volt_out_remove_stale(int64_t *removed, const char *folder,
                                                const char *pattern);
/* Removes a temporary folder and all that is in it, as far as possible; links are not followed.
 */
void volt_remove_folder(const char *path);
/* Opening, writing and committing for one block of memory. */
VOLT_MUST_USE volt_status volt_write_file(const char *path, const void *data, size_t bytes);
/* Appends one block to `path` (created if absent) and flushes it to the disk. */
VOLT_MUST_USE volt_status volt_append_file(const char *path, const void *data, size_t bytes);

/* Size and time of last change (ns since 1970): whether a file is still the same. VOLT_EIO. */
VOLT_MUST_USE volt_status volt_file_stat(int64_t *bytes, int64_t *changed_ns, const char *path);
/* Bytes that this user may still write to the file system of `folder`. VOLT_EIO. */
VOLT_MUST_USE volt_status volt_disk_free(int64_t *bytes, const char *folder);
bool volt_path_exists(const char *path);
bool volt_path_is_dir(const char *path);
bool volt_path_is_writable_dir(const char *path);
/* "a/b" from "a" and "b"; the caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_path_join(char **out, const char *folder, const char *name);
/* The part after the last '/'; borrowed from `path`. */
const char *volt_path_name(const char *path);
/* `path` from the root on, without links; the caller owns *out (volt_free). VOLT_EIO. */
VOLT_MUST_USE volt_status volt_path_real(char **out, const char *path);
/* The user's folder for what can be made again: $XDG_CACHE_HOME/volt or ~/.cache/volt; it need
 * not exist. The caller owns *out (volt_free). VOLT_EIO when neither variable is a path. */
VOLT_MUST_USE volt_status volt_cache_folder(char **out);
/* Creates `path` and missing parents. */
VOLT_MUST_USE volt_status volt_make_dirs(const char *path);
/* Creates a new folder for temporary use. `path` ends in "XXXXXX", which is replaced by
 * characters that make the name unique. VOLT_EIO. */
VOLT_MUST_USE volt_status volt_make_unique_dir(char *path);

/* Names in a folder, sorted bytewise, without "." and "..". The caller owns what *out holds. */
VOLT_MUST_USE volt_status volt_list_dir(volt_names *out, const char *folder);

double volt_seconds(void); /* monotonic clock, s */

VOLT_END_DECLS
#endif
