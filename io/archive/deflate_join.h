/* deflate_join.h - joining deflate streams that were compressed separately. Internal to io. */
#ifndef VOLT_IO_ARCHIVE_DEFLATE_JOIN_H
#define VOLT_IO_ARCHIVE_DEFLATE_JOIN_H
#include <stddef.h>
#include "base/status.h"

/* Bytes that must be free after the stream in its buffer, for the join and for reading ahead.
 */
#define VOLT_DEFLATE_JOIN_ROOM 32

/* Turns a complete raw deflate stream (RFC 1951) of *bytes bytes into one that another may
 * follow: clears the final flag of its last block and pads it to full bytes with an empty
 * stored block. VOLT_EINTERNAL: not a valid stream. Thread-safe. */
volt_status volt_deflate_reopen(unsigned char *stream, size_t *bytes);

#endif
