/* data_key.h - the key of a data set, by which fingerprints and plans recognize it.
 *
 * 64-bit FNV-1a over the ids of the cases, over name, size and a part of the content of each of
 * their files, and over how these are read. Not over folders and modification times: a data set
 * may be moved and copied. 0 = unknown, as in files of nnU-Net.
 *
 * Threads  all functions may be called at any time.
 */
#ifndef VOLT_NETS3D_PLAN_DATA_KEY_H
#define VOLT_NETS3D_PLAN_DATA_KEY_H
#include <stdbool.h>
#include <stdint.h>
#include "base/status.h"
#include "io/dataset.h"
#include "io/json/json.h"

/* Never 0. VOLT_EIO: a file is missing. */
VOLT_MUST_USE volt_status volt_data_key(uint64_t *out, const volt_dataset *ds);
/* Mixes in whatever changes how files are read; nothing for plain data sets. */
void volt_key_mix_reading(uint64_t *key, const volt_dataset_info *info);

/* Adds it to the JSON of a fingerprint or plan, which nnU-Net can still read; nothing if it is
 * 0. False: out of memory. */
VOLT_MUST_USE bool volt_data_key_add(json_t *root, uint64_t key);
/* 0 where there is none. VOLT_EFORMAT. */
VOLT_MUST_USE volt_status volt_data_key_parse(uint64_t *out, const volt_json_at *root);

#endif
