#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "apps/bench/bench.h"
#include "base/system/file.h"
#include "base/core/alloc.h"
#include "io/image.h"

typedef struct bench_io_options {
    const char *folder;
    int64_t repeat;
} bench_io_options;

static const cli_option options[] = {
    {"--dir", 0, CLI_TEXT, offsetof(bench_io_options, folder), "DIR", "/tmp", 0, 0,
     "folder for the temporary file"},
    {"--repeat", 0, CLI_INT, offsetof(bench_io_options, repeat), "R", "5", 1, 10000,
     "timed runs, after one warm-up run"},
};

typedef struct bench_io {
    const char *path;
    char *written;
    int threads;
    volt_volume *stored; /* in the file's own type */
    volt_image_header *header;
} bench_io;

static volt_status read_as_float(void *user)
{
    const bench_io *b = user;
    volt_image_read_options read = volt_image_read_as(VOLT_F32, b->threads);
    volt_volume *v = NULL;
    volt_status st = volt_image_read(&v, NULL, b->path, &read);

    volt_volume_free(v);
    return st;
}

static volt_status write_gz(void *user)
{
    const bench_io *b = user;
    volt_image_write_options write = volt_image_write_with(b->threads);

    return volt_image_write(b->written, b->stored, b->header, &write);
}

static json_t *fields(const char *op, const volt_grid *g)
{
    const int64_t shape[3] = {g->n[2], g->n[1], g->n[0]};

    return json_pack("{s:s, s:o}", "op", op, "shape", volt_json_array_of_ints(shape, 3));
}

static json_t *file_fields(const bench_io *b)
{
    json_t *f = fields("write_gz", &b->stored->grid);
    struct stat written, source;

    if (f && stat(b->written, &written) == 0 && stat(b->path, &source) == 0) {
        json_object_set_new(f, "bytes", json_integer(written.st_size));
        json_object_set_new(f, "source_bytes", json_integer(source.st_size));
    }
    return f;
}

static volt_status run(cli *c)
{
    const bench_io_options *o = c->options;
    bench_io b = {.path = c->args[0], .threads = (int)c->threads};
    volt_image_read_options as_stored = volt_image_read_as(0, b.threads);
    bench_times t;
    volt_status st;

    VOLT_TRY(st, done,
             volt_format(&b.written, "%s/volt-bench-%ld.nii.gz", o->folder, (long)getpid()));
    VOLT_TRY(st, done, cli_check_output_file(b.written));
    VOLT_TRY(st, done, bench_measure(&t, c, o->repeat, &(bench_work){read_as_float, &b}));
    VOLT_TRY(st, done, volt_image_read(&b.stored, &b.header, b.path, &as_stored));
    VOLT_TRY(st, done, bench_print(c, "read as float32", fields("read", &b.stored->grid), &t));
    VOLT_TRY(st, done, bench_measure(&t, c, o->repeat, &(bench_work){write_gz, &b}));
    st = bench_print(c, "write .nii.gz", file_fields(&b), &t);
done:
    if (b.written)
        unlink(b.written);
    volt_free(b.written);
    volt_image_header_free(b.header);
    volt_volume_free(b.stored);
    return st;
}

const cli_command cmd_bench_io = {
    .name = "bench io",
    .section = CLI_EVALUATION,
    .one_line = "benchmark reading and writing a scan",
    .args = "IMAGE",
    .min_args = 1,
    .max_args = 1,
    .about = "Times reading IMAGE as float32 and writing it as .nii.gz in its own type.",
    .example = "volt bench io scan.nii.gz --json",
    .common = CLI_THREADS | CLI_JSON,
    CLI_OPTIONS(options, bench_io_options),
    .run = run,
};
