/* refusal.h - how the parts of volt-itk fail. C++. */
#ifndef VOLT_IO_ITK_REFUSAL_H
#define VOLT_IO_ITK_REFUSAL_H
#include <stdexcept>
#include <string>

#include "base/status.h"

// A failure with a volt_status.
struct Refusal : std::runtime_error {
    volt_status status;
    Refusal(volt_status code, const std::string &words)
        : std::runtime_error(words), status(code)
    {
    }
};

#endif
