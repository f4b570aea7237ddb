/* text_header.c - reads the beginning of a file as the header of MetaImage or NRRD. */
#define _GNU_SOURCE
#include "io/image/text_header.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/core/alloc.h"
#include "io/image/names.h"
#include "io/image/text_lines.h"

static bool is_meta(const char *path)
{
    const char *ending = volt_image_ending(path);

    return strcasecmp(ending, ".mha") == 0 || strcasecmp(ending, ".mhd") == 0;
}

bool volt_text_header_is(const char *path)
{
    const char *ending = volt_image_ending(path);

    return is_meta(path) || strcasecmp(ending, ".nrrd") == 0 ||
           strcasecmp(ending, ".nhdr") == 0;
}

void volt_text_header_clear(volt_text_header *h)
{
    for (int i = 0; i < h->warning_count; i++)
        volt_free(h->warnings[i]);
    volt_names_free(&h->files);
    *h = (volt_text_header){0};
}

volt_status volt_text_header_parse(volt_text_header *out, const char *text, size_t bytes,
                                   const char *path)
{
    volt_text_header h = {.local = true, .bounded = true};
    volt_text t = {text, text + bytes, path};
    const volt_status st =
        is_meta(path) ? volt_meta_header_parse(&h, &t) : volt_nrrd_header_parse(&h, &t);

    if (st != VOLT_OK) {
        volt_text_header_clear(&h);
        return st;
    }
    *out = h;
    return VOLT_OK;
}

/* Up to `room` bytes from the beginning. */
static volt_status read_start(char *to, size_t room, size_t *got, const char *path)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = 1;

    *got = 0;
    if (fd < 0)
        return volt_fail(VOLT_EIO, "cannot open %s: %s", path, strerror(errno));
    while (*got < room && n != 0) {
        n = read(fd, to + *got, room - *got);
        if (n < 0 && errno != EINTR) {
            const int why = errno;
            close(fd);
            return volt_fail(VOLT_EIO, "cannot read %s: %s", path, strerror(why));
        }
        *got += n > 0 ? (size_t)n : 0;
        n = n < 0 ? 1 : n;
    }
    close(fd);
    return VOLT_OK;
}

volt_status volt_text_header_read(volt_text_header *out, const char *path)
{
    char *text = NULL;
    size_t got;
    volt_status st;

    VOLT_TRY(st, done, volt_alloc(&text, VOLT_TEXT_MAX_BYTES, "a header"));
    VOLT_TRY(st, done, read_start(text, VOLT_TEXT_MAX_BYTES, &got, path));
    st = volt_text_header_parse(out, text, got, path);
done:
    volt_free(text);
    return st;
}
