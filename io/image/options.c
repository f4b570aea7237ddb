#include "io/image/options.h"

#include "base/core/options.h"

static const volt_image_read_options read_defaults = {.size = sizeof read_defaults};
static const volt_image_write_options write_defaults = {.size = sizeof write_defaults};

void volt_image_read_options_init(volt_image_read_options *o, size_t size)
{
    volt_options_init(o, size, &read_defaults, sizeof read_defaults);
}

void volt_image_write_options_init(volt_image_write_options *o, size_t size)
{
    volt_options_init(o, size, &write_defaults, sizeof write_defaults);
}

volt_status volt_image_read_take(volt_image_read_options *out,
                                 const volt_image_read_options *given, const char *path)
{
    volt_image_read_options o = read_defaults;
    const volt_status st = volt_options_take(&o, sizeof o, given, "volt_image_read_options");

    if (st != VOLT_OK)
        return st;
    if (o.dtype != VOLT_AS_STORED && (volt_dtype_bytes(o.dtype) == 0 || o.dtype >= VOLT_BF16))
        return volt_fail(VOLT_EINVAL, "%s cannot be read as %s", path,
                         volt_dtype_name(o.dtype));
    *out = o;
    return VOLT_OK;
}

volt_status volt_image_write_take(volt_image_write_options *out,
                                  const volt_image_write_options *given)
{
    volt_image_write_options o = write_defaults;
    const volt_status st = volt_options_take(&o, sizeof o, given, "volt_image_write_options");

    if (st == VOLT_OK)
        *out = o;
    return st;
}
