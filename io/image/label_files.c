#include "io/image/label_files.h"

#include "base/core/alloc.h"
#include "base/system/file.h"
#include "io/image.h"

volt_status volt_label_files_create(const char *folder, int which,
                                    const volt_label_table *names)
{
    static const struct {
        int bit;
        const char *name;
    } files[] = {{VOLT_LABEL_FILE_SNAP, "labels.label"},
                 {VOLT_LABEL_FILE_SLICER, "labels.ctbl"}};
    char *path = NULL;
    volt_status st = VOLT_OK;

    for (int i = 0; i < 2; i++) {
        if (!(which & files[i].bit))
            continue;
        VOLT_TRY(st, done, volt_path_join(&path, folder, files[i].name));
        VOLT_TRY(st, done, volt_label_table_write(path, names));
        volt_free(path);
        path = NULL;
    }
    if (which & VOLT_LABEL_FILE_SEG_NRRD) {
        VOLT_TRY(st, done, volt_path_join(&path, folder, "segmentations"));
        st = volt_make_dirs(path);
    }
done:
    volt_free(path);
    return st;
}

volt_status volt_label_files_mask(const char *folder, int which, const char *id,
                                  const volt_volume *mask, const volt_label_table *names,
                                  int threads)
{
    volt_image_write_options options = volt_image_write_with(threads);
    char *path = NULL;
    volt_status st;

    if (!(which & VOLT_LABEL_FILE_SEG_NRRD))
        return VOLT_OK;
    options.names = names;
    VOLT_TRY(st, done, volt_format(&path, "%s/segmentations/%s.seg.nrrd", folder, id));
    st = volt_image_write(path, mask, NULL, &options);
done:
    volt_free(path);
    return st;
}
