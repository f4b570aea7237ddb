/* protocol.h - what `volt` and its helper volt-itk say to each other.
 *
 * volt-itk info FILE, volt-itk read FILE, volt-itk write FILE. Standard input is a socket to
 * the program that started it; everything passes there:
 *   info   helper: a message.
 *   read   helper: a message, then `bytes` of voxels.
 *   write  caller: a message, then `bytes` of voxels; helper: a message.
 * The helper then ends with exit code 0. A message whose status is not 0 carries a sentence and
 * no voxels. Both run on one machine: numbers are in its byte order.
 *
 * Voxels are (C, Z, Y, X), X fastest. Whoever reads a message checks every field: the helper
 * is the part that damaged files take over.
 */
#ifndef VOLT_IO_ITK_PROTOCOL_H
#define VOLT_IO_ITK_PROTOCOL_H
#include <stdint.h>

#define VOLT_ITK_MAGIC      "VOLTITK1"
#define VOLT_ITK_MAX_EXTENT ((int64_t)1 << 31)

typedef struct volt_itk_message {
    char magic[8];
    uint32_t status;     /* 0, or a volt_status that tells what is wrong with the file */
    uint32_t dtype;      /* volt_dtype */
    uint32_t axes;       /* of the file's space: 2 or 3 */
    uint32_t channels;   /* a fourth axis, colours, vectors */
    uint32_t compressed; /* 1: the voxels in the file are */
    uint32_t reserved;   /* 0 */
    int64_t n[3];        /* voxels along x, y, z; z is 1 with two axes */
    uint64_t bytes;      /* of voxels: channels * n[0] * n[1] * n[2] elements */
    double spacing[3];   /* x, y, z; mm */
    double origin[3];    /* mm, LPS */
    double direction[9]; /* rows of the matrix whose columns are the axes */
    char format[40];     /* "MetaImage"; terminated */
    char sentence[280];  /* terminated */
} volt_itk_message;

#endif
