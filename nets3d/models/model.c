/* The table. Models do not refer to it. */
#include <stdio.h>
#include <string.h>

#include "nets3d/models/model_internal.h"

static const volt_model *const models[] = {
    &volt_model_plain_unet,
    &volt_model_residual_unet,
    &volt_model_monai_unet,
    &volt_model_dynunet,
};
enum { MODELS = sizeof models / sizeof *models };

int volt_model_count(void)
{
    return MODELS;
}

const volt_model *volt_model_at(int i)
{
    return models[i];
}

volt_status volt_model_find(const volt_model **out, const char *name)
{
    char names[256] = "";
    size_t used = 0;

    for (int i = 0; i < MODELS; i++) {
        if (strcmp(models[i]->name, name) == 0) {
            *out = models[i];
            return VOLT_OK;
        }
        used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "",
                                 models[i]->name);
    }
    return volt_fail(VOLT_EINVAL, "no model is called '%.80s'; there are: %s", name, names);
}

const char *volt_model_name(const volt_model *model)
{
    return model->name;
}

const char *volt_model_title(const volt_model *model)
{
    return model->title;
}
