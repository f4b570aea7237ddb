/* deflate_join.h - joining deflate streams that were compressed apart. Internal to io. */
#ifndef VOLT_IO_ARCHIVE_DEFLATE_JOIN_H
#define VOLT_IO_ARCHIVE_DEFLATE_JOIN_H
#include <stddef.h>
#include "base/status.h"

/* Bytes that must follow the stream in its buffer: room for the join, and for reading ahead. */
#define VOLT_DEFLATE_JOIN_ROOM 32

/* Turns a complete raw deflate stream (RFC 1951) of *bytes bytes into one that may be followed
 * by another: its last block is no longer marked final, and an empty stored block pads it to
 * whole bytes. Meant for the output of our own compressor: VOLT_EINTERNAL when it is not a
 * valid stream. Thread-safe. */
volt_status volt_deflate_reopen(unsigned char *stream, size_t *bytes);

#endif
