/* case_key.h - what a prepared case was made from, as a number kept in its file.
 *
 * 64-bit FNV-1a, continued from part to part. Not against forgery: it tells finished work from
 * work that is to be done again.
 */
#ifndef VOLT_IO_STORE_CASE_KEY_H
#define VOLT_IO_STORE_CASE_KEY_H
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"

#define VOLT_KEY_START 0xcbf29ce484222325u

void volt_key_mix(uint64_t *key, const void *data, size_t bytes);
void volt_key_mix_int(uint64_t *key, int64_t value);
/* Name (without folders), size and time of change of a file, or of each file in a folder (a
 * stack of slices). VOLT_EIO. */
VOLT_MUST_USE volt_status volt_key_mix_file(uint64_t *key, const char *path);

#endif
