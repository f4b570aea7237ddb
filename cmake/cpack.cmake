# Read by cpack for each generator. With another prefix the library's folder would be wrong for
# Debian; without dpkg-shlibdeps the packages would depend on nothing.
if(CPACK_GENERATOR STREQUAL "DEB")
  if(NOT CPACK_PACKAGING_INSTALL_PREFIX STREQUAL "/usr")
    message(FATAL_ERROR "Debian packages need a build folder with the prefix /usr, this one has "
                        "${CPACK_PACKAGING_INSTALL_PREFIX}: use 'make deb'.")
  endif()
  find_program(VOLT_SHLIBDEPS dpkg-shlibdeps)
  if(NOT VOLT_SHLIBDEPS)
    message(FATAL_ERROR "dpkg-shlibdeps is not installed: apt-get install dpkg-dev")
  endif()
endif()
