# find_package(volt) gives the target volt::volt. The name in lower case is also found as "Volt".
include(${CMAKE_CURRENT_LIST_DIR}/volt-targets.cmake)
