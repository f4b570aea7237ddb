/* pickle_write.h - writing pickles (protocol 2) value by value, and files for torch.load.
 *
 * Values are put in sequence; containers are opened, filled and closed. Running out of memory
 * is recorded and reported when the pickle is written, so that calls need not be checked.
 */
#ifndef VOLT_IO_TENSORS_PICKLE_WRITE_H
#define VOLT_IO_TENSORS_PICKLE_WRITE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "base/status.h"
#include "io/json/json.h"
#include "io/tensors/safetensors.h"
VOLT_BEGIN_DECLS

typedef struct volt_pickle_writer volt_pickle_writer;

VOLT_MUST_USE volt_status volt_pickle_create_writer(volt_pickle_writer **out);
void volt_pickle_free_writer(volt_pickle_writer *w); /* NULL is allowed */

void volt_pickle_put_none(volt_pickle_writer *w);
void volt_pickle_put_bool(volt_pickle_writer *w, bool value);
void volt_pickle_put_int(volt_pickle_writer *w, int64_t value);
void volt_pickle_put_float(volt_pickle_writer *w, double value);
void volt_pickle_put_text(volt_pickle_writer *w, const char *text); /* UTF-8 */
/* A dict takes key, value, key, value, ... */
void volt_pickle_open_dict(volt_pickle_writer *w);
void volt_pickle_close_dict(volt_pickle_writer *w);
void volt_pickle_open_list(volt_pickle_writer *w);
void volt_pickle_close_list(volt_pickle_writer *w);
void volt_pickle_open_tuple(volt_pickle_writer *w);
void volt_pickle_close_tuple(volt_pickle_writer *w);
/* A JSON value, as Python's json would load it. */
void volt_pickle_put_json(volt_pickle_writer *w, const json_t *value);
/* torch.device(name) */
void volt_pickle_put_device(volt_pickle_writer *w, const char *name);
/* A dense float32 tensor of this shape that fills storage `number` of volt_torch_write. */
void volt_pickle_put_tensor(volt_pickle_writer *w, const volt_tensor_view *tensor,
                            size_t number);

/* Writes the value in `w` with its storages (float32; names are not used) as torch.save does,
 * whole or not at all. VOLT_EINVAL: a container is open, or `w` does not hold exactly one
 * value; VOLT_EIO, VOLT_ENOMEM. */
VOLT_MUST_USE volt_status volt_torch_write(const char *path, const volt_pickle_writer *w,
                                           const volt_tensor_view *storage, size_t count);

VOLT_END_DECLS
#endif
