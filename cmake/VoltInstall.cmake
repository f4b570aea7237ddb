# cmake --install and cpack: the folders of GNUInstallDirs. No file names the prefix, so that an
# installation can be moved as a whole. Component itk is volt-itk, the only part that needs ITK;
# volt-mpi and volt-mpich are the plug-ins that need an MPI.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME volt)

install(TARGETS volt EXPORT volt-targets)
foreach(header ${volt_headers})
  get_filename_component(folder ${header} DIRECTORY)
  install(FILES ${header} DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/volt/${folder})
endforeach()

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/volt)
install(EXPORT volt-targets NAMESPACE volt:: DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/volt-config-version.cmake
                                 COMPATIBILITY SameMinorVersion) # until 1.0
install(FILES cmake/volt-config.cmake ${PROJECT_BINARY_DIR}/volt-config-version.cmake
        DESTINATION ${config_dir})

# Nothing is needed beside the shared library, so volt.pc requires no other package.
file(RELATIVE_PATH from_pc_to_prefix ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
file(RELATIVE_PATH from_prefix_to_include ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_INCLUDEDIR})
file(RELATIVE_PATH from_prefix_to_lib ${CMAKE_INSTALL_PREFIX} ${CMAKE_INSTALL_FULL_LIBDIR})
configure_file(cmake/volt.pc.in ${PROJECT_BINARY_DIR}/volt.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/volt.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(FILES LICENSE show/fonts/LICENSE-DejaVu README.md CONTRIBUTING.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} FILES_MATCHING PATTERN *.md)
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR})

if(TARGET volt_cli)
  install(TARGETS volt_cli)
endif()
if(TARGET volt_itk)
  install(TARGETS volt_itk RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/volt COMPONENT itk)
endif()
foreach(plugin ${volt_plugins})
  install(TARGETS ${plugin} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/volt COMPONENT ${plugin})
endforeach()
if(TARGET volt_manual)
  install(DIRECTORY ${VOLT_MAN_DIR}/ DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${VOLT_COMPLETION_DIR}/volt.bash RENAME volt
          DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${VOLT_COMPLETION_DIR}/_volt
          DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${VOLT_COMPLETION_DIR}/volt.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()

if(NOT volt_alone)
  return()
endif()
# cpack -G DEB: volt, and volt-itk, volt-mpi and volt-mpich, which alone pull in ITK and the MPIs. A
# package holds the folders that were configured; `make deb` configures /usr, where GNUInstallDirs
# knows Debian's multiarch folders.
foreach(package volt volt-itk ${volt_plugins})
  string(REPLACE "volt-itk" "itk" component ${package})
  install(FILES cmake/copyright DESTINATION ${CMAKE_INSTALL_DATADIR}/doc/${package}
          COMPONENT ${component} EXCLUDE_FROM_ALL)
endforeach()
set(CPACK_GENERATOR TGZ)
set(CPACK_PACKAGE_CONTACT "VOLT maintainers")
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_PACKAGING_INSTALL_PREFIX ${CMAKE_INSTALL_PREFIX})
set(CPACK_COMPONENTS_ALL volt)
if(TARGET volt_itk)
  list(APPEND CPACK_COMPONENTS_ALL itk)
endif()
list(APPEND CPACK_COMPONENTS_ALL ${volt_plugins})
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_SOURCE_DIR}/cmake/cpack.cmake)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_GENERATE_SHLIBS ON)
set(CPACK_DEBIAN_VOLT_PACKAGE_NAME volt)
set(CPACK_DEBIAN_VOLT_PACKAGE_SUGGESTS "volt-itk, volt-mpi | volt-mpich")
set(CPACK_COMPONENT_VOLT_DESCRIPTION # below the summary, which is the project's description
    "The command volt, the library libvolt with its headers, and documentation.")
set(CPACK_DEBIAN_ITK_PACKAGE_NAME volt-itk)
set(CPACK_DEBIAN_ITK_PACKAGE_DEPENDS "volt (= ${PROJECT_VERSION})")
set(CPACK_COMPONENT_ITK_DESCRIPTION
    "The helper that reads and writes MetaImage, NRRD, TIFF and other formats through ITK.")
foreach(plugin ${volt_plugins})
  string(TOUPPER ${plugin} word)
  set(CPACK_DEBIAN_${word}_PACKAGE_NAME ${plugin})
  set(CPACK_DEBIAN_${word}_PACKAGE_DEPENDS "volt (= ${PROJECT_VERSION})")
endforeach()
set(CPACK_COMPONENT_VOLT-MPI_DESCRIPTION "The plug-in for ranks that are started by Open MPI.")
set(CPACK_COMPONENT_VOLT-MPICH_DESCRIPTION "The plug-in for ranks that are started by MPICH.")
include(CPack)
