/* protocol.h - the messages between VOLT and its helper program volt-itk.
 *
 * volt-itk VERB MEMORY SECONDS FILE [VOXELS...], VERB being info, read, labels or write. MEMORY
 * is the most address space in bytes that it may take besides its code, SECONDS the most time
 * of the processor, VOXELS names the files with voxels that the header FILE refers to, in the
 * same folder: it opens no others. Standard input is a socket to the program that started it
 * and carries everything: info   helper: a message. read   helper: a message; caller: one byte,
 * once there is memory for the voxels; helper: the message again, then `bytes` of voxels.
 *   labels as read, but pictures give the values as stored: indices of a palette, bits.
 *   write  caller: a message, then `bytes` of voxels; helper: a message.
 * The helper then ends with exit code 0. A message whose status is not 0 carries a sentence and
 * no voxels. Both programs run on one machine: numbers are in native byte order.
 *
 * Voxels are (C, Z, Y, X), X fastest. The receiver of a message checks every field: the helper
 * is the process that a hostile file may take over.
 */
#ifndef VOLT_IO_ITK_PROTOCOL_H
#define VOLT_IO_ITK_PROTOCOL_H
#include <stdint.h>

#define VOLT_ITK_MAGIC      "VOLTITK2"
#define VOLT_ITK_MAX_EXTENT ((int64_t)1 << 31)

typedef struct volt_itk_message {
    char magic[8];
    uint32_t status;     /* 0, or the volt_status of the failure */
    uint32_t dtype;      /* volt_dtype */
    uint32_t axes;       /* spatial axes of the file: 2 or 3 */
    uint32_t channels;   /* of a fourth axis, colours or vectors */
    uint32_t compressed; /* 1: the voxels in the file are compressed */
    uint32_t sandbox;    /* of the helper: VOLT_SANDBOX_LANDLOCK, VOLT_SANDBOX_SECCOMP */
    int64_t n[3];        /* voxels along x, y, z; z is 1 with two axes */
    uint64_t bytes;      /* of voxels: channels * n[0] * n[1] * n[2] elements */
    double spacing[3];   /* x, y, z; mm */
    double origin[3];    /* mm, LPS */
    double direction[9]; /* rows of the matrix whose columns are the axes */
    char format[40];     /* "MetaImage"; terminated */
    char sentence[280];  /* terminated */
} volt_itk_message;

#endif
