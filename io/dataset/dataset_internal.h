/* dataset_internal.h - shared by the sources behind io/dataset.h. */
#ifndef VOLT_IO_DATASET_DATASET_INTERNAL_H
#define VOLT_IO_DATASET_DATASET_INTERNAL_H
#include "io/dataset.h"
#include "io/json/json.h"

/* Copies the caller's options (NULL: the defaults). VOLT_EINVAL: of an unknown version. */
volt_status volt_dataset_options_take(volt_dataset_options *out,
                                      const volt_dataset_options *given);

/* Converts a loaded dataset.json; `root` is its root. */
volt_status volt_dataset_info_from(volt_dataset_info *out, const volt_json_at *root);

/* Reads labels, ignore label and regions of dataset.json. */
volt_status volt_labels_read(volt_dataset_info *info, const volt_json_at *root);
/* The value of the key "volt": what nnU-Net's dataset.json cannot express. NULL if there is
 * nothing; *bad is set when out of memory. */
json_t *volt_info_own_json(const volt_dataset_info *info, int *bad);
volt_status volt_info_read_own(volt_dataset_info *info, const volt_json_at *root);
/* Parses letters of x, y, z into info->label_flip; false: other letters, or a duplicate. */
bool volt_label_flip_parse(volt_dataset_info *info, const char *axes);
/* Parses a key that is an integer in 0..high: "0", "12". */
bool volt_whole_key(int64_t *out, const char *key, int64_t high);

/* Drops info->stored if it equals the values of training. */
void volt_stored_simplify(volt_dataset_info *info);

/* VOLT_EDATA, with file, axis and both values, if sizes or spacings differ. */
volt_status volt_grids_match(const volt_grid *a, const char *a_file, const volt_grid *b,
                             const char *b_file);

/* Whether a corner of `b`, a grid of the same size, lies more than a voxel away from that of
 * `a`; *mm is the largest distance. Up to half a voxel is common (corners for centres). */
bool volt_grids_shifted(double *mm, const volt_grid *a, const volt_grid *b);

/* As volt_grids_match for labels, which must not be shifted either (info->allow_shift); only
 * sizes must agree if they follow their image or lack geometry. */
volt_status volt_label_grid_match(const volt_grid *image, const char *image_file,
                                  const volt_grid *labels, const char *label_file,
                                  const volt_dataset_info *info);

/* Reads a label file: an image, a picture, or slices in natural order along z: a folder of
 * pictures, or numbered pictures, FOLDER/CASE_*.png. Values are as stored, int16; with
 * info->thresholds grey values become labels. */
volt_status volt_labels_load(volt_volume **out, const char *path, const volt_dataset_info *info,
                             int threads);
/* True for pictures and folders of them, which have no spatial metadata. */
bool volt_labels_lack_geometry(const char *path);

/* A growing list of cases. */
typedef struct case_builder {
    volt_case_list list;
    size_t room;
    bool with_faults; /* inputs.c: cases that cannot be predicted are listed, too */
} case_builder;

/* Appends an empty case; *out is borrowed until the next call. */
volt_status volt_cases_append(volt_case **out, case_builder *b, const char *id);
/* Appends `path` and takes ownership of it, also on failure. */
volt_status volt_case_add_file(volt_case *c, char *path);
/* Sorts by id. Fails with `code`, naming `where`, if an id occurs twice. */
volt_status volt_cases_finish(volt_case_list *list, volt_status code, const char *where);

/* "CASE_0003.nii.gz" with ending ".nii.gz": id "CASE" of *id_bytes bytes and channel 3; a name
 * without a number gives channel -1. False if the name has another ending or is hidden. */
bool volt_case_name(const char *name, const char *ending, size_t *id_bytes, int *channel);

/* A file that holds a case or a channel of one. */
typedef struct input_file {
    char *path;
    char *id;
    int channel; /* -1: the file is a whole case */
} input_file;

/* Sorted by id and channel after volt_files_sort. */
typedef struct input_files {
    input_file *item;
    size_t count, room;
} input_files;
void volt_files_clear(input_files *files);
/* `numbered`: CASE_0003 is channel 3 of CASE; otherwise only CASE_0000 is a channel and other
 * numbers belong to the name (scan_0012.nii.gz for a network of one channel). */
volt_status volt_files_add(input_files *files, const char *path, const char *ending,
                           bool numbered);
/* Adds the files of `folder` that end in `ending` (NULL: as volt_image_list), sorted, without
 * hidden files. */
volt_status volt_files_add_folder(input_files *files, const char *folder, const char *ending,
                                  bool numbered);
void volt_files_sort(input_files *files);
/* The channels of a file; 0 if it cannot be read. VOLT_ENOTSUP: the format of a scan needs what
 * this build lacks; VOLT_ENOMEM. */
volt_status volt_file_channels(int *out, const char *path);
/* Whether a file of `channels` channels may hold the `expected` ones: as many, or a picture's
 * with alpha, which reading judges. */
bool volt_channels_may_fit(const char *path, int channels, int expected);
/* Fails with VOLT_EDATA: PATH has so many channels (red, green, blue, alpha MORE); EXPECTED. */
volt_status volt_channels_fail(const char *path, int channels, const char *more,
                               const char *expected);
/* Fails like that unless `v`, float32, has `channels`. A picture's alpha channel is dropped if
 * it is one too many and opaque, with a warning in the header. */
volt_status volt_channels_fit(volt_volume *v, volt_image_header *header, const char *path,
                              int channels, const char *expected);
/* The number of files from `first` on that share its id. */
size_t volt_files_group(const input_files *files, size_t first);

#endif
