/* nifti_make.h - NIfTI files made byte by byte, right ones and wrong ones. */
#ifndef VOLT_TESTS_NIFTI_MAKE_H
#define VOLT_TESTS_NIFTI_MAKE_H
#include "tests/kit/test.h"

#include <stdio.h>
#include <unistd.h>
#include <nifti1.h>
#include <nifti2.h>

#include "base/system/file.h"
#include "base/mem.h"
#include "io/archive/gzip.h"
#include "io/image/nifti.h"
#include "io/image/nifti_raw.h"

/* 3 x 4 x 5 voxels of int16, spacing 2, 3, 4 mm, sform and qform alike. */
nifti_1_header make_header1(void);

nifti_2_header make_header2(void);

void write_bytes(const char *path, const void *data, size_t bytes);

/* Header, zeros up to `offset`, voxels; compressed when the name says so. */
void write_nifti(const char *path, const void *header, size_t header_bytes, size_t offset,
                 const void *voxels, size_t voxel_bytes);

void write_nifti1(const char *path, const nifti_1_header *h, const void *voxels, size_t bytes);

/* Whether one of the header's warnings holds `words`. */
bool is_noted(const volt_image_header *header, const char *words);

#endif
