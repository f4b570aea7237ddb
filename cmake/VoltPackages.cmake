# Every package VOLT links, as imported targets volt::NAME. Each is found or named as missing.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS C)
find_package(ZLIB REQUIRED)
find_package(PNG REQUIRED)

function(volt_find name header library package)
  cmake_parse_arguments(P "" "" "SUFFIXES" ${ARGN})
  find_path(VOLT_${name}_INCLUDE ${header} PATH_SUFFIXES ${P_SUFFIXES})
  find_library(VOLT_${name}_LIBRARY ${library})
  if(NOT VOLT_${name}_INCLUDE OR NOT VOLT_${name}_LIBRARY)
    message(FATAL_ERROR "${header} or lib${library} not found: install ${package}")
  endif()
  message(STATUS "${name}: ${VOLT_${name}_LIBRARY}")
  add_library(volt::${name} UNKNOWN IMPORTED GLOBAL)
  set_target_properties(volt::${name} PROPERTIES IMPORTED_LOCATION ${VOLT_${name}_LIBRARY}
                        INTERFACE_INCLUDE_DIRECTORIES ${VOLT_${name}_INCLUDE})
endfunction()

volt_find(deflate libdeflate.h deflate libdeflate-dev)
volt_find(jansson jansson.h jansson libjansson-dev)
# NIFTIConfig.cmake of Debian 12 names libraries that are not there, so look for ourselves.
volt_find(nifti nifti2_io.h nifti2 libnifti2-dev SUFFIXES nifti)
volt_find(dnnl oneapi/dnnl/dnnl.h dnnl "libdnnl-dev (oneDNN)")
