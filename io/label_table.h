/* label_table.h - the names and colours of a mask's labels. volt_label_table_read (dataset.h)
 * finds them.
 *
 * Stored   in the mask itself: a NIfTI mask that VOLT writes has intent code 1002 and, in a
 *          header extension of code 6 (comment), the text of an ITK-SNAP label file; tables in
 *          XML (TotalSegmentator, Connectome Workbench) are read, too. A .seg.nrrd has the
 *          fields of 3D Slicer's segments. Or next to the mask CASE.nii.gz: in CASE.label or
 *          CASE.txt (ITK-SNAP), CASE.ctbl (3D Slicer), in labels.label or labels.ctbl, which
 *          are for all masks of the folder, or in a dataset.json in the folder or, for a folder
 *          labelsTr or labelsTs, in the one above.
 * Hostile  tables are untrusted: at most 16384 entries of 255 bytes; control characters become
 *          spaces, and a name that is not UTF-8 becomes "label VALUE".
 * Threads  no shared state. Calls on different tables may run at the same time.
 */
#ifndef VOLT_IO_LABEL_TABLE_H
#define VOLT_IO_LABEL_TABLE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/status.h"
VOLT_BEGIN_DECLS

typedef struct volt_label_entry {
    int64_t value; /* as in the file of the mask */
    char *name;
    uint8_t red, green, blue;
} volt_label_entry;

typedef struct volt_label_table {
    int64_t count; /* 0: no names are known */
    volt_label_entry *entries;
    bool own; /* read from the mask or from a file of its name; false: from one for a folder */
} volt_label_table;

/* Adds a copy of `name` with VOLT's colour for `value`, or renames it. VOLT_ENOMEM. */
VOLT_CALL volt_label_table_set(volt_label_table *table, int64_t value, const char *name);
VOLT_API void volt_label_table_clear(volt_label_table *table);

/* The name of `value`, borrowed; NULL if the table does not name it. */
VOLT_API const char *volt_label_table_name(const volt_label_table *table, int64_t value);

/* Files for viewers that a prediction or an ensemble writes on request; or-ed. */
typedef enum volt_label_files {
    VOLT_LABEL_FILE_SNAP = 1,    /* FOLDER/labels.label, for ITK-SNAP */
    VOLT_LABEL_FILE_SLICER = 2,  /* FOLDER/labels.ctbl, for 3D Slicer */
    VOLT_LABEL_FILE_SEG_NRRD = 4 /* FOLDER/segmentations/CASE.seg.nrrd, for 3D Slicer */
} volt_label_files;

/* Writes a file for viewers, whole or not at all: PATH.ctbl for 3D Slicer, else ITK-SNAP's
 * label descriptions. VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_label_table_write(const char *path, const volt_label_table *table);

/* For a mask `path` in a format that stores no names: writes STEM.label next to it and sets
 * *out to its path, which the caller owns (volt_free). *out is NULL where the format stores
 * names or a table lies there already. VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_label_table_accompany(char **out, const char *path,
                                     const volt_label_table *names);

/* VOLT's colour of a label value (>= 1; 0 is black), the same in every picture and table. */
VOLT_API void volt_label_rgb(uint8_t rgb[3], int64_t value);

VOLT_END_DECLS
#endif
