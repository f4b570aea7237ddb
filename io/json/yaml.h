/* yaml.h - the part of YAML that configuration files use, read into a JSON document.
 *
 * Read      block mappings and sequences, flow mappings and sequences, plain and quoted
 * scalars, comments. Plain scalars are null, true, false, numbers or else text. Refused
 * anchors, aliases, tags, block scalars, several documents, tabs as indentation; each with its
 * line.
 */
#ifndef VOLT_IO_JSON_YAML_H
#define VOLT_IO_JSON_YAML_H
#include "io/json/json.h"
VOLT_BEGIN_DECLS

/* As volt_json_load. VOLT_EIO; VOLT_EFORMAT; VOLT_ENOTSUP: what is refused, by line. */
VOLT_MUST_USE volt_status volt_yaml_load(volt_json *out, const char *path);

VOLT_END_DECLS
#endif
