# libvolt: every floor's sources. *.isa.c files are built once per instruction set.
set(volt_floors base volume io parallel nets3d show)
set(volt_sources)
set(volt_isa_sources)
foreach(floor ${volt_floors})
  file(GLOB_RECURSE found CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/${floor}/*.c)
  list(FILTER found EXCLUDE REGEX "/parallel/mpi/") # plug-ins, built apart
  foreach(source ${found})
    if(source MATCHES "\\.isa\\.c$")
      list(APPEND volt_isa_sources ${source})
    else()
      list(APPEND volt_sources ${source})
    endif()
  endforeach()
endforeach()

# Where the installed volt-itk lies, seen from the command and from the library.
foreach(from BIN LIB)
  file(RELATIVE_PATH volt_itk_from_${from} ${CMAKE_INSTALL_FULL_${from}DIR}
       ${CMAKE_INSTALL_FULL_LIBEXECDIR}/volt/volt-itk)
endforeach()

# The same for the plug-ins.
foreach(from BIN LIB)
  file(RELATIVE_PATH volt_plugins_from_${from} ${CMAKE_INSTALL_FULL_${from}DIR}
       ${CMAKE_INSTALL_FULL_LIBDIR}/volt)
endforeach()

add_library(volt_objects OBJECT ${volt_sources} ${volt_font_source})
set_property(SOURCE ${PROJECT_SOURCE_DIR}/io/image/itk_call.c APPEND PROPERTY COMPILE_DEFINITIONS
             VOLT_ITK_FROM_BIN="${volt_itk_from_BIN}" VOLT_ITK_FROM_LIB="${volt_itk_from_LIB}")
set_property(SOURCE ${PROJECT_SOURCE_DIR}/parallel/comm/plugin.c APPEND PROPERTY COMPILE_DEFINITIONS
             VOLT_PLUGINS_FROM_BIN="${volt_plugins_from_BIN}"
             VOLT_PLUGINS_FROM_LIB="${volt_plugins_from_LIB}")
foreach(format jpeg gif)
  if(TARGET volt::${format})
    string(TOUPPER ${format} word)
    set_property(SOURCE ${PROJECT_SOURCE_DIR}/io/image/${format}.c
                 ${PROJECT_SOURCE_DIR}/io/image/names.c ${PROJECT_SOURCE_DIR}/io/image/figure.c
                 APPEND PROPERTY COMPILE_DEFINITIONS VOLT_HAVE_${word})
  endif()
endforeach()
set(volt_object_files $<TARGET_OBJECTS:volt_objects>)
set(volt_object_libraries volt_objects)

# Wide vectors never cross a call of these files, so how they would be passed does not matter.
set(volt_isa_flags -O3 -ffp-contract=fast -Wno-psabi)
set(volt_isa_flags_avx2 -mavx2 -mfma -mf16c -mbmi2)
set(volt_isa_flags_avx512 -mavx512f -mavx512bw -mavx512vl -mavx512dq -mavx2 -mfma -mf16c -mbmi2
    -mprefer-vector-width=512)
set(volt_isa_levels base)
if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
  list(APPEND volt_isa_levels avx2 avx512)
endif()
if(volt_isa_sources)
  foreach(level ${volt_isa_levels})
    add_library(volt_isa_${level} OBJECT ${volt_isa_sources})
    target_compile_definitions(volt_isa_${level} PRIVATE VOLT_ISA_SUFFIX=_${level})
    target_compile_options(volt_isa_${level} PRIVATE ${volt_isa_flags_${level}} ${volt_isa_flags})
    list(APPEND volt_object_libraries volt_isa_${level})
    list(APPEND volt_object_files $<TARGET_OBJECTS:volt_isa_${level}>)
  endforeach()
endif()

# No public header names a type of these, so no client needs them.
set(volt_packages volt::deflate volt::jansson volt::nifti volt::dnnl ZLIB::ZLIB PNG::PNG volt::freetype
    OpenMP::OpenMP_C Threads::Threads ${CMAKE_DL_LIBS} m)
foreach(format jpeg gif)
  if(TARGET volt::${format})
    list(APPEND volt_packages volt::${format})
  endif()
endforeach()
foreach(part ${volt_object_libraries})
  target_include_directories(${part} PRIVATE ${PROJECT_SOURCE_DIR})
  target_link_libraries(${part} PRIVATE volt_build_flags ${volt_packages})
endforeach()

# Clients write #include <volt/volt.h>. In the build tree include/volt/ holds links to the public
# headers: those in the floors' own folders, and volt.h.
set(volt_headers volt.h)
foreach(floor ${volt_floors})
  file(GLOB found CONFIGURE_DEPENDS RELATIVE ${PROJECT_SOURCE_DIR} ${PROJECT_SOURCE_DIR}/${floor}/*.h)
  list(APPEND volt_headers ${found})
endforeach()
file(REMOVE_RECURSE ${PROJECT_BINARY_DIR}/include/volt)
foreach(header ${volt_headers})
  get_filename_component(folder ${PROJECT_BINARY_DIR}/include/volt/${header} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${header} ${PROJECT_BINARY_DIR}/include/volt/${header}
       SYMBOLIC)
endforeach()

# What clients link, installed or not, is the shared library: its name carries the ABI's number,
# the version script hides all but volt_*, and its packages stay its own matter.
add_library(volt SHARED ${volt_object_files})
add_library(volt::volt ALIAS volt)
set(volt_map ${PROJECT_SOURCE_DIR}/cmake/volt.map)
set_target_properties(volt PROPERTIES VERSION ${PROJECT_VERSION}
                      SOVERSION ${PROJECT_VERSION_MAJOR} LINK_DEPENDS ${volt_map}
                      LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
target_link_options(volt PRIVATE LINKER:--version-script=${volt_map})
target_link_libraries(volt PRIVATE volt_build_flags ${volt_packages})
target_include_directories(volt INTERFACE $<BUILD_INTERFACE:${PROJECT_BINARY_DIR}/include>
                           $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

# Static for the command and the tests, which reach internals through volt_internal. It is not
# installed: clients would have to link every package themselves and could call what is internal.
add_library(volt_static STATIC EXCLUDE_FROM_ALL ${volt_object_files})
set_target_properties(volt_static PROPERTIES OUTPUT_NAME volt
                      ARCHIVE_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR})
add_library(volt_internal INTERFACE)
target_include_directories(volt_internal INTERFACE ${PROJECT_SOURCE_DIR})
target_link_libraries(volt_internal INTERFACE volt_static volt_build_flags ${volt_packages})
