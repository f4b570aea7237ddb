# Every package VOLT links, as imported targets. What is missing is named in one message, with the
# Debian package that has it.
set(volt_missing)

macro(volt_package name package) # ARGN: find_package's further arguments
  find_package(${name} QUIET ${ARGN})
  if(NOT ${name}_FOUND)
    list(APPEND volt_missing ${package})
  endif()
endmacro()

# volt::NAME, found by a header and a library. OPTIONAL says what goes without.
function(volt_find name header library package)
  cmake_parse_arguments(P "" "OPTIONAL" "SUFFIXES" ${ARGN})
  find_path(VOLT_${name}_INCLUDE ${header} PATH_SUFFIXES ${P_SUFFIXES})
  find_library(VOLT_${name}_LIBRARY ${library})
  mark_as_advanced(VOLT_${name}_INCLUDE VOLT_${name}_LIBRARY)
  if(NOT VOLT_${name}_INCLUDE OR NOT VOLT_${name}_LIBRARY)
    if(P_OPTIONAL)
      message(STATUS "${P_OPTIONAL}: ${name} was not found (${package})")
      return()
    endif()
    set(volt_missing ${volt_missing} ${package} PARENT_SCOPE)
    return()
  endif()
  message(STATUS "${name}: ${VOLT_${name}_LIBRARY}")
  add_library(volt::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(volt::${name} PROPERTIES IMPORTED_LOCATION ${VOLT_${name}_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${VOLT_${name}_INCLUDE})
endfunction()

if(CMAKE_C_COMPILER_ID MATCHES "Clang")
  set(openmp libomp-dev)
else()
  set(openmp gcc)
endif()
volt_package(Threads libc6-dev)
volt_package(OpenMP ${openmp} COMPONENTS C)
volt_package(ZLIB zlib1g-dev)
volt_package(PNG libpng-dev)
volt_find(deflate libdeflate.h deflate libdeflate-dev)
volt_find(jansson jansson.h jansson libjansson-dev)
# NIFTIConfig.cmake of Debian 12 names libraries that are not there, so look for ourselves.
volt_find(nifti nifti2_io.h nifti2 libnifti2-dev SUFFIXES nifti)
volt_find(freetype ft2build.h freetype libfreetype-dev SUFFIXES freetype2)
volt_find(dnnl oneapi/dnnl/dnnl.h dnnl libdnnl-dev)
# Formats of pictures that VOLT can be built without.
volt_find(jpeg jpeglib.h jpeg libjpeg-dev OPTIONAL "JPEG is left out")
volt_find(gif gif_lib.h gif libgif-dev OPTIONAL "GIF is left out")
if(VOLT_TESTS STREQUAL "AUTO")
  volt_find(cmocka cmocka.h cmocka libcmocka-dev OPTIONAL "The tests are left out")
elseif(VOLT_TESTS)
  volt_find(cmocka cmocka.h cmocka libcmocka-dev)
endif()

if(volt_missing)
  string(REPLACE ";" " " volt_missing "${volt_missing}")
  message(FATAL_ERROR "VOLT needs packages that are not installed: ${volt_missing}. "
                      "'make deps' installs them on Debian and Ubuntu.")
endif()
