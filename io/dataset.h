/* dataset.h - scans and their labels on disk, whatever the layout.
 *
 * Layouts  by their words (volt_dataset_options.layout):
 *          nnunet      nnU-Net raw: dataset.json, imagesTr/CASE_0000.nii.gz .. one file per
 *                      channel, labelsTr/CASE.nii.gz, or the lists of its `dataset` key;
 *          decathlon   Medical Segmentation Decathlon: dataset.json with `training` pairs,
 *                      labels as {"0": "background"}, 4-D files when multi-modal;
 *          brats       BraTS 2018 to 2021: CASE/CASE_t1.nii.gz, _t1ce, _t2, _flair, _seg;
 *          brats2023   BraTS 2023: CASE/CASE-t1n.nii.gz, -t1c, -t2w, -t2f, -seg;
 *          brats2024   the same with label 4, the resection cavity (time points from 100 on, or
 *                      a folder's name with a year since 2024 around GLI or MET cases);
 *          brats-ped2024  the paediatric sets since 2024 (names as brats2023; told by the year
 *                      or "PEDs" in a folder's name);
 *          brats-men-rt  meningiomas before radiotherapy: BraTS-MEN-RT-*_t1c.nii.gz, _gtv;
 *          lits        LiTS: volume-N.nii, segmentation-N.nii, test-volume-N.nii;
 *          pairs       a folder of images and one of labels with matching names.
 *          BraTS and LiTS folders are taken as they are unpacked, some levels deep. A layout
 *          is one row of a table in dataset.c.
 * Names    files and folders whose name starts with '.' or '_' are never cases (macOS litter).
 * Hostile  dataset.json and every scan. Paths in it may lead anywhere, as in nnU-Net: what they
 *          name is read as a scan and never written.
 * Threads  an open data set is read-only and may be shared.
 */
#ifndef VOLT_IO_DATASET_H
#define VOLT_IO_DATASET_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "../base/callbacks.h"
#include "../base/status.h"
#include "image.h"
#include "../volume/volume.h"
VOLT_BEGIN_DECLS

/* Bounds on hostile input; channel numbers in file names have four digits. */
#define VOLT_MAX_CHANNELS 1000
#define VOLT_MAX_LABELS   4096

typedef struct volt_label {
    char *name;
    int32_t value; /* of training, in the case store and in masks in memory; 0: background */
} volt_label;

/* A union of labels; regions may overlap (whole tumour, tumour core, ...). A network of a data
 * set with regions has one sigmoid output for each and none for the background (nnU-Net v2). */
typedef struct volt_label_region {
    char *name;
    int values;
    int32_t *value;  /* the labels united, ascending, none twice, background and ignore label
                      * not among them */
    bool is_list;    /* written as a list in dataset.json: [3], not 3 */
    int32_t painted; /* its entry of regions_class_order: what its voxels become in a mask.
                      * Regions are painted in their order, later ones over earlier ones */
} volt_label_region;

/* What dataset.json says about every case. Also kept beside a trained network. */
typedef struct volt_dataset_info {
    char *name; /* "Dataset004_Hippocampus": the folder's name, or dataset.json's own */
    int channels;
    char **channel_name;  /* in channel order; decides the normalisation ("CT", "MRI") */
    int labels;           /* without the ignore label */
    volt_label *label;    /* ascending values; label[0] is the background */
    int32_t ignore_label; /* -1: none. Such voxels count in no loss and no metric */
    char *file_ending;    /* ".nii.gz" */
    int64_t num_training; /* as stated; -1 when absent */

    int regions;               /* 0: labels do not overlap, softmax over `labels` outputs */
    volt_label_region *region; /* in dataset.json's order, which is that of the outputs */

    /* Where the data set's own label files number otherwise (BraTS: 0, 2, 1, 4): the value
     * there of each label, none twice, and of the ignore label. NULL: as here. volt_case_read
     * and volt_mask_restore translate. */
    int32_t *stored;
    int32_t stored_ignore;

    /* How volt_case_read takes the files. */
    int thresholds;           /* 0: label files hold labels */
    double *threshold;        /* ascending; label = how many of them a grey value reaches */
    bool labels_follow_image; /* labels lie on the image's voxels whatever their file's matrix
                               * says (LiTS); only sizes must agree */
    bool label_flip[3];       /* z, y, x: label files that are PNG images run backwards there */
    bool resample_channels;   /* channels on other grids than the first are brought onto its */
    char orientation[4];      /* "": as the files lie; else codes (volume/orient.h) that every
                               * case is turned to */
} volt_dataset_info;

/* Outputs of a network for this data set: `regions`, or `labels` where there are none. */
VOLT_API int volt_dataset_info_outputs(const volt_dataset_info *info);

/* Reads nnU-Net's or MSD's dataset.json. The caller owns what *out holds
 * (volt_dataset_info_clear). What nnU-Net has no key for stands under "volt". VOLT_EIO;
 * VOLT_EFORMAT names the key and its value. */
VOLT_CALL volt_dataset_info_read(volt_dataset_info *out, const char *path);
/* Writes it as nnU-Net's dataset.json. */
VOLT_CALL volt_dataset_info_write(const char *path, const volt_dataset_info *info);
/* The same from and to text, as checkpoints carry it; `name` is for messages. The caller owns
 * what *out holds (volt_free for the text). */
VOLT_CALL volt_dataset_info_parse(volt_dataset_info *out, const char *text, size_t bytes,
                                  const char *name);
VOLT_CALL volt_dataset_info_text(char **out, const volt_dataset_info *info);
VOLT_API void volt_dataset_info_clear(volt_dataset_info *info);

/* One case: either `files` = channels, one 3-D file each, or a single file (4-D with as many
 * channels as the data set has, or 3-D for one channel). Files need not exist. */
typedef struct volt_case {
    char *id; /* "hippocampus_001" */
    int files;
    char **file;
    char *label_file; /* NULL: no truth */
} volt_case;

typedef struct volt_case_list {
    volt_case *item; /* ascending ids (bytewise), none twice */
    int64_t count;
} volt_case_list;
VOLT_API void volt_case_list_clear(volt_case_list *list);
/* Keeps every case number part, part + parts, ..., counted from 1: the share of one of `parts`
 * machines, 1 <= part <= parts. May leave none. */
VOLT_API void volt_case_list_keep_part(volt_case_list *list, int64_t part, int64_t parts);

typedef struct volt_dataset {
    char *folder;
    const char *layout; /* "nnU-Net raw", "BraTS 2018-2021", ... */
    volt_dataset_info info;
    volt_case_list cases; /* training cases; may be empty, see volt_dataset_check */
    volt_case_list
        tests;   /* cases without a truth, to be predicted: imagesTs, validation sets */
    char **note; /* warnings met and the rules used, one sentence each */
    int64_t notes;
} volt_dataset;

typedef enum volt_dataset_target {
    VOLT_TARGET_DEFAULT = 0, /* as the layout has it */
    VOLT_TARGET_LABELS = 1,  /* labels, one of them per voxel */
    VOLT_TARGET_REGIONS = 2  /* nested regions, where the layout knows some (LiTS: the liver
                              * with its tumours, and the tumours; Decathlon's Task01) */
} volt_dataset_target;

typedef struct volt_dataset_options {
    size_t size;                 /* set by volt_dataset_defaults() */
    const char *layout;          /* a word of the list above; NULL: found out */
    const char *images, *labels; /* layout "pairs": both folders; both or neither */
    volt_dataset_target target;
    /* "0=background,2=edema,1=core,4=enhancing": the values in the label files with their
     * names, in the order of training, the background first. NULL: the layout's own; for
     * "pairs" the values that occur, which reads every label file. */
    const char *label_table;
    const char *channel_names; /* "CT" or "T1,T2": instead of the layout's own; they decide the
                                * normalisation. NULL: these */
    const double *threshold;   /* for label files with grey values; see volt_dataset_info */
    int thresholds;
    const char *label_flip; /* letters of x, y, z; see volt_dataset_info. NULL: none */
    bool resample_channels;
    int threads; /* for reading label files; 0 = default */
    const volt_callbacks *callbacks;
} volt_dataset_options;
/* For other languages: fills in the defaults, which find everything out. */
VOLT_API void volt_dataset_options_init(volt_dataset_options *o, size_t size);
static inline volt_dataset_options volt_dataset_defaults(void)
{
    volt_dataset_options o;

    volt_dataset_options_init(&o, sizeof o);
    return o;
}

/* Finds out the layout of `folder` and lists its cases. Of the scans only headers are read: of
 * each case's first file, for its orientation. Where these differ, info.orientation becomes the
 * commonest one and a note says so. `folder` may be NULL with options->images. `options` NULL:
 * all defaults. The caller owns *out (volt_dataset_close). VOLT_EIO, VOLT_EFORMAT,
 * VOLT_ENOTSUP; VOLT_EINVAL: options that contradict the data set; VOLT_EDATA: no layout fits.
 */
VOLT_CALL volt_dataset_open(volt_dataset **out, const char *folder,
                            const volt_dataset_options *options);
VOLT_API void volt_dataset_close(volt_dataset *ds); /* NULL is allowed */
/* Index of the case called `id`, or -1. */
VOLT_API int64_t volt_dataset_find(const volt_dataset *ds, const char *id);

/* Lists what is to be predicted: each input is a file, a folder (all NIfTI files in it), or a
 * data set (its `tests`, or all cases where there are none; found out by BraTS or LiTS names,
 * or by a dataset.json in a folder without scans of its own).
 * CASE_0000.EXT .. are the channels of CASE; other names are whole cases. VOLT_EDATA names a
 * case that lacks a channel or has one too many; VOLT_EINVAL when no input holds a scan, or two
 * give the same case; VOLT_EIO. The caller owns what *out holds. */
VOLT_CALL volt_inputs_list(volt_case_list *out, const char *const *inputs, int count,
                           int channels);

/* The voxels of a case. */
typedef struct volt_case_data {
    volt_volume *image;        /* float32, (C, Z, Y, X) */
    volt_volume *labels;       /* int16, (1, Z, Y, X); NULL without a truth */
    volt_image_header *header; /* of the first image file, for writing masks back */
} volt_case_data;
VOLT_API void volt_case_data_clear(volt_case_data *data);

/* The grid on which a scan is trained and predicted: the file's own, but where it is flat, 999
 * times as thick as its largest spacing (as nnU-Net's SimpleITKIO and NaturalImage2DIO), so
 * that no rule takes the missing axis for a fine one. */
VOLT_API volt_grid volt_case_grid(const volt_image_header *header);

/* Reads image and labels, on volt_case_grid. The caller owns what *out holds. VOLT_EDATA:
 * channels or labels whose sizes or spacings differ (the axis and both values are named), a
 * wrong number of channels; VOLT_EFORMAT: a label that is no whole number in -32768..32767;
 * volt_image_read's errors. NaN voxels and unknown label values are not judged here
 * (volt_dataset_check does that), but where labels are translated (info->stored) a value
 * outside the table is VOLT_EDATA. */
VOLT_CALL volt_case_read(volt_case_data *out, const volt_case *c, const volt_dataset_info *info,
                         int threads);

/* The ending of masks predicted for this data set: its own, as nnU-Net has it; where masks
 * cannot be written so without loss .png for pictures (JPEG), else .nii.gz. Borrowed. */
VOLT_API const char *volt_mask_ending(const volt_dataset_info *info);

/* Turns a mask of the network's labels, on the grid of volt_case_read's image, into what is
 * written beside the scan: in the data set's own numbering and on the scan's grid. `header`
 * is the scan's. *mask is replaced where anything changes (its type then is the smallest of
 * uint8 and uint16 that holds every label). VOLT_EINVAL: a value that is no label; VOLT_ENOMEM.
 */
VOLT_CALL volt_mask_restore(volt_volume **mask, const volt_dataset_info *info,
                            const volt_image_header *header, int threads);

typedef enum volt_severity { VOLT_WARNING = 1, VOLT_ERROR = 2 } volt_severity;

typedef struct volt_finding {
    volt_severity severity;
    char *file;     /* the file, or the data set's folder */
    char *sentence; /* names the file, the axis or case, and the values */
} volt_finding;

/* In the order of the cases, those of the data set as a whole first. */
typedef struct volt_findings {
    volt_finding *item;
    int64_t count;
    int64_t errors, warnings;
} volt_findings;
VOLT_API void volt_findings_clear(volt_findings *findings);

/* Every integrity rule in one run, all findings. Errors: no case; a number of cases that
 * contradicts numTraining; labels not consecutive from 0, the ignore label not the highest; a
 * file that is missing or cannot be read; a wrong number of channels; sizes or spacings of
 * channels or labels that differ; NaN or infinite voxels; label values that dataset.json does
 * not name. Warnings: origins or directions that differ; a label no case has; an image that
 * has the same value everywhere; a case without foreground. Reads every scan, in parallel over
 * cases. Findings are not failures: the result is VOLT_OK unless memory ran out or the caller
 * cancelled. */
VOLT_CALL volt_dataset_check(volt_findings *out, const volt_dataset *ds, int threads,
                             const volt_callbacks *callbacks);
/* VOLT_EDATA with the first error's sentence and their number, VOLT_OK without errors. */
VOLT_CALL volt_findings_judge(const volt_findings *findings);

VOLT_END_DECLS
#endif
