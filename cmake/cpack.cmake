# Read by cpack for each generator. Without dpkg-shlibdeps cpack would write packages that depend
# on nothing.
if(CPACK_GENERATOR STREQUAL "DEB")
  find_program(VOLT_SHLIBDEPS dpkg-shlibdeps)
  if(NOT VOLT_SHLIBDEPS)
    message(FATAL_ERROR "dpkg-shlibdeps is not installed: apt-get install dpkg-dev")
  endif()
endif()
