/* dataset.h - images and labels on disk, in any supported layout.
 *
 * Layouts   by name (volt_dataset_options.layout):
 *           nnunet       nnU-Net raw: dataset.json, imagesTr/CASE_0000.nii.gz with one file per
 *                        channel, labelsTr/CASE.nii.gz, or the lists of its `dataset` key;
 *           decathlon    Medical Segmentation Decathlon: dataset.json with `training` pairs,
 *                        labels as {"0": "background"}, 4-D files when multi-modal;
 *           brats        BraTS 2018 to 2021: CASE/CASE_t1.nii.gz, _t1ce, _t2, _flair, _seg;
 *           brats2023    BraTS 2023: CASE/CASE-t1n.nii.gz, -t1c, -t2w, -t2f, -seg;
 *           brats2024    the same with label 4, the resection cavity; recognized by time points
 *                        from 100 on, or by a folder whose name has a year from 2024 on around
 *                        GLI or MET cases;
 *           brats-ped2024  the paediatric sets since 2024: file names as brats2023; recognized
 *                        by the year or "PEDs" in a folder's name;
 *           brats-men-rt meningiomas before radiotherapy: BraTS-MEN-RT-*_t1c.nii.gz, _gtv;
 *           lits         LiTS: volume-N.nii, segmentation-N.nii, test-volume-N.nii;
 *           pairs        a folder of images and a folder of labels with matching names.
 *           BraTS and LiTS are read as unpacked, with cases up to a few folders down.
 * Hidden    files and folders whose names start with '.' or '_' are never cases.
 * Hostile   dataset.json and every image are untrusted. Paths in dataset.json that leave the
 *           data set's folder need options.allow_outside, unless they start with an environment
 *           variable. Symbolic links are followed. Such files are only read, as images.
 * Threads   an open data set is read-only and may be shared; calls on different outputs may run
 *           at the same time. The data set must not be closed while in use.
 */
#ifndef VOLT_IO_DATASET_H
#define VOLT_IO_DATASET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "image.h"
#include "label_table.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

/* Bounds on hostile input; channel numbers in file names have four digits. */
#define VOLT_MAX_CHANNELS 1000
#define VOLT_MAX_LABELS   4096

typedef struct volt_label {
    char *name;
    int32_t value; /* in training, in case files and in masks in memory; 0: background */
} volt_label;

/* A union of labels; regions may overlap (whole tumour, tumour core, ...). A network for a data
 * set with regions has one sigmoid output per region and none for the background (nnU-Net v2).
 */
typedef struct volt_label_region {
    char *name;
    int values;
    int32_t *value;  /* the labels united: ascending, unique, without the background and the
                      * ignore label */
    bool is_list;    /* written as a list in dataset.json: [3], not 3 */
    int32_t painted; /* its entry of regions_class_order: the value of its voxels in a mask.
                      * Regions are painted in order, later ones over earlier ones */
} volt_label_region;

/* What dataset.json says about all cases. A copy is stored with each trained network. */
typedef struct volt_dataset_info {
    char *name; /* "Dataset004_Hippocampus": from dataset.json, else the folder's name */
    int channels;
    char **channel_name;  /* in channel order; selects the normalization ("CT", "MRI") */
    int labels;           /* without the ignore label */
    volt_label *label;    /* ascending values; label[0] is the background */
    int32_t ignore_label; /* or VOLT_NO_IGNORE_LABEL; such voxels count in no loss or metric */
    char *file_ending;    /* ".nii.gz" */
    int64_t num_training; /* numTraining; -1 when absent */

    int regions;               /* 0: labels do not overlap, softmax over `labels` outputs */
    volt_label_region *region; /* in the order of dataset.json and of the outputs */

    /* For data sets whose label files use other values (BraTS: 0, 2, 1, 4): the value in the
     * files of each label, all distinct, and of the ignore label. NULL: the values of `label`.
     * volt_case_read and volt_mask_restore translate. */
    int32_t *stored;
    int32_t stored_ignore;

    /* How volt_case_read interprets the files. */
    int thresholds;           /* 0: label files hold labels */
    double *threshold;        /* ascending; the label of a grey value is the number of
                               * thresholds that it reaches */
    bool labels_follow_image; /* labels take the image's geometry, whatever their own file says
                               * (LiTS); only sizes must agree */
    bool label_flip[3];       /* z, y, x: axes along which PNG label files are reversed */
    bool resample_channels;   /* resamples channels onto the grid of the first one */
    bool allow_shift;         /* labels and channels more than a voxel away from their image are
                               * used voxel by voxel */
    char orientation[4];      /* "": as stored; else the codes (volume/orient.h) to which every
                               * case is reoriented */
} volt_dataset_info;

/* Number of output channels of a network for this data set: `regions`, or `labels` without
 * regions. */
VOLT_API int volt_dataset_info_outputs(const volt_dataset_info *info);

/* Reads the dataset.json of nnU-Net or the Decathlon. The caller owns what *out holds
 * (volt_dataset_info_clear). What nnU-Net has no key for is read from the key "volt". VOLT_EIO;
 * VOLT_EFORMAT names the key and its value. */
VOLT_CALL volt_dataset_info_read(volt_dataset_info *out, const char *path);
/* Writes nnU-Net's dataset.json, whole or not at all. VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_dataset_info_write(const char *path, const volt_dataset_info *info);
/* The same from and to text, as stored in checkpoints; `name` is used in messages. The caller
 * owns what *out holds (volt_free for the text). */
VOLT_CALL volt_dataset_info_parse(volt_dataset_info *out, const char *text, size_t bytes,
                                  const char *name);
VOLT_CALL volt_dataset_info_text(char **out, const volt_dataset_info *info);
VOLT_API void volt_dataset_info_clear(volt_dataset_info *info);

/* One case: either one 3-D file per channel, or a single file (4-D with all channels, or 3-D
 * for one channel). The files need not exist. */
typedef struct volt_case {
    char *id; /* "hippocampus_001" */
    int files;
    char **file;
    char *label_file; /* NULL: no reference labels */
    bool numbered;    /* volt_inputs_list: the only file, CASE_0012 without CASE_0000, was taken
                       * as a case of its own, not as channel 12 of CASE */
    char *fault;      /* volt_inputs_list_all: why it cannot be predicted; NULL otherwise */
    volt_status fault_status;
} volt_case;

typedef struct volt_case_list {
    volt_case *item; /* ascending, unique ids (bytewise) */
    int64_t count;
} volt_case_list;
VOLT_API void volt_case_list_clear(volt_case_list *list);
/* Keeps cases part, part + parts, ..., counted from 1: the part of one of `parts` machines,
 * 1 <= part <= parts. The result may be empty. */
VOLT_API void volt_case_list_keep_part(volt_case_list *list, int64_t part, int64_t parts);

typedef struct volt_dataset {
    char *folder;
    const char *layout; /* "nnU-Net raw", "BraTS 2018-2021", ... */
    volt_dataset_info info;
    volt_case_list cases; /* training cases; may be empty, see volt_dataset_check */
    volt_case_list tests; /* cases to predict, without labels: imagesTs, validation sets */
    char **note;          /* warnings and the rules applied, one sentence each */
    int64_t notes;
} volt_dataset;

typedef enum volt_dataset_target {
    VOLT_TARGET_DEFAULT = 0, /* as the layout defines */
    VOLT_TARGET_LABELS = 1,  /* one label per voxel */
    VOLT_TARGET_REGIONS = 2  /* nested regions, where the layout defines them (LiTS: liver with
                              * tumours, tumours; Decathlon Task01) */
} volt_dataset_target;

typedef struct volt_dataset_options {
    size_t size;                 /* set by volt_dataset_defaults() */
    const char *layout;          /* a name from the list above; NULL: detected */
    const char *images, *labels; /* layout "pairs": both folders; both or neither */
    volt_dataset_target target;
    /* "0=background,2=edema,1=core,4=enhancing": values in the label files with their names, in
     * training order, the background first. NULL: the layout's own; for "pairs" the values that
     * occur, which reads every label file. */
    const char *label_table;
    const char *channel_names; /* "CT" or "T1,T2": replace the layout's names and select the
                                * normalization; NULL: the layout's */
    const double *threshold;   /* for label files with grey values; see volt_dataset_info */
    int thresholds;
    const char *label_flip; /* letters of x, y, z; see volt_dataset_info. NULL: none */
    bool resample_channels; /* see volt_dataset_info */
    int threads;            /* for reading label files; 0 = default */
    const volt_callbacks *callbacks;
    bool allow_shift;   /* see volt_dataset_info */
    bool allow_outside; /* accepts absolute paths and paths with .. in dataset.json */
} volt_dataset_options;
/* For other languages: fills in the defaults, which detect everything. */
VOLT_API void volt_dataset_options_init(volt_dataset_options *o, size_t size);
static inline volt_dataset_options volt_dataset_defaults(void)
{
    volt_dataset_options o;

    volt_dataset_options_init(&o, sizeof o);
    return o;
}

/* Detects the layout of `folder` and lists its cases. Only the header of each case's first
 * image is read, for its orientation: where orientations differ, info.orientation becomes the
 * most frequent one and a note reports it. `folder` may be NULL with options->images. `options`
 * NULL: the defaults. The caller owns *out (volt_dataset_close). VOLT_EIO, VOLT_EFORMAT,
 * VOLT_ENOTSUP; VOLT_EINVAL: options that contradict the data set; VOLT_EDATA: no layout
 * matches. */
VOLT_CALL volt_dataset_open(volt_dataset **out, const char *folder,
                            const volt_dataset_options *options);
VOLT_API void volt_dataset_close(volt_dataset *ds); /* NULL is allowed */
/* Index of the case `id` in ds->cases, or -1. */
VOLT_API int64_t volt_dataset_find(const volt_dataset *ds, const char *id);

/* Lists the cases to predict. Each input is a file, a folder (all images in it), or a data set
 * (its `tests`, or all cases if there are none; recognized by BraTS or LiTS names, or by a
 * dataset.json in a folder without images of its own). CASE_0000.EXT, ... are the channels of
 * CASE; other names are whole cases. Where the network has one channel, CASE_0012 without any
 * other file of CASE is a case of its own (item[].numbered). `channels` is the network's
 * number. The caller owns what *out holds. VOLT_EDATA names a case with a missing or surplus
 * channel, or an input without images; VOLT_EINVAL: two inputs give the same case; VOLT_EIO.
 * `options` (NULL = defaults) are for inputs that are data sets. */
VOLT_CALL volt_inputs_list(volt_case_list *out, const char *const *inputs, int count,
                           int channels, const volt_dataset_options *options);
/* The same, but a case with a missing or surplus channel is listed as well, without files and
 * with the sentence in item[].fault. Fails with the first of them if there is no other case. */
VOLT_CALL volt_inputs_list_all(volt_case_list *out, const char *const *inputs, int count,
                               int channels, const volt_dataset_options *options);

/* What can be judged of the inputs before a network is opened, quickly: VOLT_EIO: one does not
 * exist; VOLT_EDATA: there is no scan in any. */
VOLT_CALL volt_inputs_check(const char *const *inputs, int count);

/* The voxels of a case. */
typedef struct volt_case_data {
    volt_volume *image;        /* float32, (C, Z, Y, X) */
    volt_volume *labels;       /* int16, (1, Z, Y, X); NULL without labels */
    volt_image_header *header; /* of the first image file, for writing masks */
    int shifted;     /* a channel more than a voxel away from the first, used voxel by voxel; 0:
                      * none */
    double shift_mm; /* how far */
} volt_case_data;
VOLT_API void volt_case_data_clear(volt_case_data *data);

/* The grid for training and prediction: the file's own; a 2-D image gets 999 times its largest
 * spacing as thickness (as nnU-Net's SimpleITKIO and NaturalImage2DIO), so that no rule takes
 * the missing axis for a fine one. */
VOLT_API volt_grid volt_case_grid(const volt_image_header *header);

/* Reads image and labels, on volt_case_grid, in the orientation and label values of training.
 * The caller owns what *out holds. VOLT_EDATA: channels or labels whose sizes or spacings
 * differ (axis and both values are named), a wrong number of channels; labels
 * more than a voxel away from the image (info->allow_shift); a label value that the data set
 * does not name. VOLT_EFORMAT: a label that is not an integer in -32768..32767;
 * volt_image_read's errors. NaN voxels are left to volt_dataset_check. */
VOLT_CALL volt_case_read(volt_case_data *out, const volt_case *c, const volt_dataset_info *info,
                         int threads);
/* VOLT_EDATA where a channel of that image is NaN or infinite: names the channel's file. */
VOLT_CALL volt_case_check_finite(const volt_case *c, const volt_volume *image, int threads);

/* The file ending of masks predicted for this data set: its own, as in nnU-Net; where that
 * cannot hold masks without loss (JPEG), ".png" for pictures, else ".nii.gz". Borrowed. */
VOLT_API const char *volt_mask_ending(const volt_dataset_info *info);

/* Turns a mask of training labels, on the grid of volt_case_read's image, into the mask to
 * write: in the values of the data set's label files and on the image's own grid. `header` is
 * the image's. Replaces *mask where anything changes; its type then is uint8, or uint16 if a
 * value needs it. VOLT_EINVAL: a value that is no label; VOLT_ENOMEM. */
VOLT_CALL volt_mask_restore(volt_volume **mask, const volt_dataset_info *info,
                            const volt_image_header *header, int threads);

typedef enum volt_severity { VOLT_WARNING = 1, VOLT_ERROR = 2 } volt_severity;

/* Findings of one kind have one cause and one remedy. */
typedef enum volt_finding_kind {
    VOLT_FINDING_DATASET = 1,   /* the data set as a whole, dataset.json */
    VOLT_FINDING_UNREADABLE,    /* a file that is missing or damaged */
    VOLT_FINDING_CHANNELS,      /* a wrong number of channels */
    VOLT_FINDING_SIZE,          /* sizes or spacings differ */
    VOLT_FINDING_SHIFT,         /* more than a voxel away from the image */
    VOLT_FINDING_GEOMETRY,      /* small differences of origin or direction; rules applied */
    VOLT_FINDING_NOT_FINITE,    /* NaN or infinite voxels */
    VOLT_FINDING_CONSTANT,      /* an image with one value */
    VOLT_FINDING_NO_LABELS,     /* a case without labels */
    VOLT_FINDING_LABEL_VALUE,   /* a value that the labels do not name */
    VOLT_FINDING_NO_FOREGROUND, /* a label file with the background alone */
    VOLT_FINDING_NORMALIZATION  /* a channel that looks like CT but is not named so */
} volt_finding_kind;
/* A word for each: "shift", "label value". Never NULL. */
VOLT_API const char *volt_finding_kind_name(volt_finding_kind kind);

typedef struct volt_finding {
    volt_severity severity;
    volt_finding_kind kind;
    char *file;     /* the file, or the data set's folder */
    char *sentence; /* names the file, the axis or case, and the values */
} volt_finding;

/* Those of the data set as a whole first, then by case. */
typedef struct volt_findings {
    volt_finding *item;
    int64_t count;
    int64_t errors, warnings;
} volt_findings;
VOLT_API void volt_findings_clear(volt_findings *findings);

/* Applies every integrity rule and collects all findings. Errors: no case; a number of cases
 * that contradicts numTraining; labels not consecutive from 0, an ignore label that is not the
 * highest; a missing or unreadable file; a wrong number of channels; sizes or spacings of
 * channels or labels that differ; channels or labels more than a voxel away from the image
 * (warnings with info.allow_shift); NaN or infinite voxels; label values not in dataset.json.
 * Warnings: origins or directions that differ; a label in no case; a constant image; a case
 * without foreground; intensities as of CT in a channel that is not named CT; regions that give
 * masks other numbers than the labels. Reads every file, in parallel over cases. Findings are
 * not failures: the result is VOLT_OK unless memory runs out or the caller cancels. The caller
 * owns what *out holds (volt_findings_clear). */
VOLT_CALL volt_dataset_check(volt_findings *out, const volt_dataset *ds, int threads,
                             const volt_callbacks *callbacks);
#define VOLT_FINDINGS_SHOWN 10 /* of a kind, in lists for people */
/* One line of a list of findings. */
typedef void volt_finding_line(void *user, volt_severity severity, const char *sentence);
/* Calls `line` for the findings in order, but for at most `most` >= 1 of each severity and
 * kind; after these, one line counts the others. */
VOLT_API void volt_findings_list(const volt_findings *findings, int64_t most,
                                 volt_finding_line *line, void *user);
/* VOLT_EDATA with the first error's sentence and the number of errors; VOLT_OK without errors.
 */
VOLT_CALL volt_findings_judge(const volt_findings *findings);

/* Finds the names for the mask `mask_path`, in the order of label_table.h. A mask without any
 * gives a table of count 0, and so does a missing or unreadable mask without names next to it.
 * The caller owns what *out holds (volt_label_table_clear). VOLT_EFORMAT: a damaged table,
 * named with its line; VOLT_EIO, VOLT_ENOMEM. */
VOLT_CALL volt_label_table_read(const char *mask_path, volt_label_table *out);
/* The table of masks for this data set, in the values of its files, with the background and the
 * ignore label. VOLT_ENOMEM. */
VOLT_CALL volt_label_table_from(volt_label_table *out, const volt_dataset_info *info);

VOLT_END_DECLS
#endif
