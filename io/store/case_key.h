/* case_key.h - the hash of plan and source files that is stored with a preprocessed case.
 *
 * 64-bit FNV-1a over all parts. It tells finished work from outdated work and is no protection
 * against forgery.
 */
#ifndef VOLT_IO_STORE_CASE_KEY_H
#define VOLT_IO_STORE_CASE_KEY_H
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#define VOLT_KEY_START 0xcbf29ce484222325u

void volt_key_mix(uint64_t *key, const void *data, size_t bytes);
void volt_key_mix_int(uint64_t *key, int64_t value);
/* Mixes in name (without folders), size and modification time of a file, or of each file in a
 * folder (a stack of slices). VOLT_EIO. */
VOLT_MUST_USE volt_status volt_key_mix_file(uint64_t *key, const char *path);
/* The same for files that may be copied and moved: name, size and 16 KiB of the content, as
 * files without compression often have the same size. The voxels of a header without voxels are
 * such a file, too. VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_key_mix_content(uint64_t *key, const char *path);

#endif
