#!/bin/bash
# VOLT inside another project, by add_subdirectory and by FetchContent: only the library is built
# by default, no flag or setting leaks out, and clients include <volt/volt.h>.
# A client is linked with the library built there, and run.
# usage: subproject.sh VOLT SCRATCH SOURCE
. "$3/tests/cli/common.inc"
cached() { sed -n "s/^$1:[A-Z]*=//p" "$2/CMakeCache.txt"; }
for tool in cmake make; do
    command -v $tool >/dev/null || { echo "skipped: $tool is not installed" && exit 77; }
done
# In another project these are another project's folders and flags.
expect 1 grep -rnE --include=CMakeLists.txt --include='*.cmake' \
    'CMAKE_(SOURCE|BINARY)_DIR|add_(compile|link)_options|add_compile_definitions' \
    "$SOURCE/CMakeLists.txt" "$SOURCE/cmake" "$SOURCE/apps" "$SOURCE/io" "$SOURCE/tests" "$SOURCE/examples"
project=$SCRATCH/project
mkdir "$project"
cat >"$project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.18)
project(outer LANGUAGES C)
if(WITH_FETCH_CONTENT)
  include(FetchContent)
  FetchContent_Declare(volt SOURCE_DIR ${VOLT_SOURCE} BINARY_DIR ${CMAKE_BINARY_DIR}/volt)
  FetchContent_MakeAvailable(volt)
else()
  add_subdirectory(${VOLT_SOURCE} volt)
endif()
add_executable(client client.c)
target_link_libraries(client PRIVATE volt::volt)
END
echo '#include <volt/volt.h>
int main(void) { return volt_version()[0] != 48 + VOLT_VERSION_MAJOR; }' >"$project/client.c"

# configure FOLDER FLAGS...: with other settings than VOLT's own, to see that they stay.
outer=$(dirname "$VOLT")
configure() {
    expect 0 cmake -G 'Unix Makefiles' -S "$project" -B "$1" -DVOLT_SOURCE="$SOURCE" \
        -DCMAKE_C_FLAGS=-DOUTER -DCMAKE_C_COMPILER="$(cached CMAKE_C_COMPILER "$outer")" \
        -DCMAKE_C_COMPILER_LAUNCHER="$(cached CMAKE_C_COMPILER_LAUNCHER "$outer")" "${@:2}"
    [ -z "$(cached CMAKE_BUILD_TYPE "$1")" ] || fail "VOLT chose the build type of the outer project"
    for option in APPS TESTS EXAMPLES INSTALL WERROR; do
        [ "$(cached VOLT_$option "$1")" = OFF ] || fail "VOLT_$option is on in another project"
    done
}
configure "$SCRATCH/fetched" -DWITH_FETCH_CONTENT=ON
# By its own rule, so that the library is not built first.
expect 0 make -C "$SCRATCH/fetched" client.o
configure "$SCRATCH/build"
cd "$SCRATCH/build" || exit 1
expect 0 make help
out_lacks 'volt_cli|volt_itk|test_|example_'
# The flags of a target: one line each of flags, definitions and include folders.
flags() { grep -hE '^C_(FLAGS|DEFINES|INCLUDES)' "$1/flags.make"; }
expect 0 flags CMakeFiles/client.dir
out_lacks '-W|-f|-O|-std|_DEFAULT_SOURCE|_FILE_OFFSET_BITS'
[ "$(grep -o -- '-I *[^ ]*\|-isystem *[^ ]*' "$OUT" | wc -l)" -eq 1 ] ||
    fail "clients see more than VOLT's public headers"
expect 0 flags volt/CMakeFiles/volt_objects.dir
out_has '-DOUTER'
out_has '-std=c17'
out_has '-fno-math-errno'

# Two jobs, because other tests run at the same time.
expect 0 make -j 2
expect 0 ./client
done_testing
