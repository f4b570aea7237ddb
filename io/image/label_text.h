/* label_text.h - label tables as text: ITK-SNAP's and 3D Slicer's. */
#ifndef VOLT_IO_IMAGE_LABEL_TEXT_H
#define VOLT_IO_IMAGE_LABEL_TEXT_H
#include <stdbool.h>
#include "io/label_table.h"

#define VOLT_LABEL_TABLE_MAX ((size_t)16 << 20) /* bytes of a table's text */

/* Stands before the table in a NIfTI comment, to tell it from other comments. */
#define VOLT_LABEL_COMMENT "# VOLT label table\n"

typedef enum volt_label_syntax {
    VOLT_LABELS_SNAP,  /* VALUE R G B ALPHA VISIBLE MESH "NAME" */
    VOLT_LABELS_SLICER /* VALUE NAME_WITH_UNDERSCORES R G B ALPHA */
} volt_label_syntax;

/* `name` is for messages. VOLT_EFORMAT names the first line that is no entry, no comment and
 * not empty. */
VOLT_MUST_USE volt_status volt_label_text_parse(volt_label_table *out, const char *text,
                                                size_t bytes, volt_label_syntax syntax,
                                                const char *name);
/* The caller owns *out (volt_free). */
VOLT_MUST_USE volt_status volt_label_text_make(char **out, const volt_label_table *table,
                                               volt_label_syntax syntax);

/* The fields "Segment0_Name:=..." of a NRRD header; count 0 when there are none. */
VOLT_MUST_USE volt_status volt_label_segments_parse(volt_label_table *out, const char *header,
                                                    size_t bytes, const char *name);

/* Appends an entry; its name is cleaned of what a table cannot hold. */
VOLT_MUST_USE volt_status volt_label_table_add(volt_label_table *table, int64_t value,
                                               const char *name, size_t bytes,
                                               const uint8_t rgb[3]);

/* As volt_label_table_read, without dataset.json. */
VOLT_MUST_USE volt_status volt_label_table_of_mask(volt_label_table *out, const char *path);

#endif
