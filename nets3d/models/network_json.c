/* "architecture" in a plan: the class and its arguments, read and written by the model. */
#include <stdio.h>
#include <string.h>

#include "nets3d/models/model_internal.h"

static volt_status find_class(const volt_model **out, const volt_json_at *at)
{
    char names[256] = "";
    const char *text;
    size_t used = 0;
    volt_status st = volt_json_text(&text, at, 1024);

    if (st != VOLT_OK)
        return st;
    for (int i = 0; i < volt_model_count(); i++) {
        const volt_model *m = volt_model_at(i);
        if (m->is_class(text)) {
            *out = m;
            return VOLT_OK;
        }
        used +=
            (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", m->name);
    }
    volt_json_fail(at, "is \"%s\"; supported are %s", text, names);
    return VOLT_ENOTSUP;
}

static volt_status read_architecture(volt_network *net, const volt_json_at *architecture,
                                     int axes)
{
    const volt_model *model;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_json_member(&at, architecture, "network_class_name"));
    VOLT_TRY(st, done, find_class(&model, &at));
    VOLT_TRY(st, done, volt_network_create(net, model));
    VOLT_TRY(st, done, volt_json_member(&at, architecture, "arch_kwargs"));
    st = model->read(net, &at, axes);
done:
    return st;
}

static volt_status read_legacy(volt_network *net, const volt_inherited *config, int axes)
{
    const volt_model *model;
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_inherited_optional(&at, config, "UNet_class_name"));
    if (!at.value)
        return volt_json_fail(&config->at[0],
                              "lacks \"architecture\" (and \"UNet_class_name\", which "
                              "old plans have instead)");
    VOLT_TRY(st, done, find_class(&model, &at));
    if (!model->read_legacy)
        return volt_json_fail(&at, "is a class that only \"architecture\" can describe");
    VOLT_TRY(st, done, volt_network_create(net, model));
    st = model->read_legacy(net, config, axes);
done:
    return st;
}

volt_status volt_network_read(volt_network *out, const volt_inherited *config, int axes)
{
    volt_network net = {.model = NULL};
    volt_json_at at;
    volt_status st;

    VOLT_TRY(st, done, volt_inherited_optional(&at, config, "architecture"));
    VOLT_TRY(st, done,
             at.value ? read_architecture(&net, &at, axes) : read_legacy(&net, config, axes));
    *out = net;
    net = (volt_network){.model = NULL};
done:
    volt_network_clear(&net);
    return st;
}

/* Arguments of nnU-Net's classes that are imported by name. */
static json_t *imported_arguments(bool any)
{
    return any ? json_pack("[s, s, s, s]", "conv_op", "norm_op", "dropout_op", "nonlin")
               : json_array();
}

json_t *volt_network_json(const volt_network *net, int axes)
{
    return json_pack("{s:s, s:o, s:o}", "network_class_name", net->model->class_name,
                     "arch_kwargs", net->model->write(net, axes), "_kw_requires_import",
                     imported_arguments(net->model->takes_torch_ops));
}
