# volt_build_flags: how VOLT's own sources are compiled. Linked PRIVATE, so no client inherits it.
add_library(volt_build_flags INTERFACE)
target_compile_definitions(volt_build_flags INTERFACE _DEFAULT_SOURCE _FILE_OFFSET_BITS=64)
target_compile_options(volt_build_flags INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wvla -Wundef -Wpointer-arith
  $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes> $<$<COMPILE_LANGUAGE:C>:-Wstrict-prototypes>
  -fno-math-errno
  -UNDEBUG # assertions are few and cheap: every build checks them
  $<$<AND:$<CONFIG:Release>,$<COMPILE_LANGUAGE:C>>:-g1>) # enough for a backtrace
if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  # A loop that stays scalar is slower, not wrong; sanitizers cause it too.
  target_compile_options(volt_build_flags INTERFACE -Wno-pass-failed)
endif()
if(VOLT_WERROR)
  target_compile_options(volt_build_flags INTERFACE -Werror)
endif()
if(VOLT_SANITIZE)
  target_compile_options(volt_build_flags INTERFACE -fsanitize=${VOLT_SANITIZE}
                         -fno-sanitize-recover=all -fno-omit-frame-pointer)
  target_link_options(volt_build_flags INTERFACE -fsanitize=${VOLT_SANITIZE})
  if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # These follow values through the code, which gcc cannot do past the sanitizers' checks.
    target_compile_options(volt_build_flags INTERFACE -Wno-maybe-uninitialized
                           -Wno-format-truncation)
  endif()
endif()
if(VOLT_FUZZ)
  target_compile_options(volt_build_flags INTERFACE -fno-sanitize-recover=all
                         -fsanitize=fuzzer-no-link,address,undefined)
  target_link_options(volt_build_flags INTERFACE -fsanitize=address,undefined)
endif()
