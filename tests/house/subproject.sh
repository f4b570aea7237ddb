#!/bin/bash
# VOLT inside another project: only the library is built by default, no flag or setting leaks out,
# and clients include <volt/volt.h>. A few objects are compiled, not the whole library.
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
add_subdirectory(${VOLT_SOURCE} volt)
add_executable(client client.c)
target_link_libraries(client PRIVATE volt::volt)
END
echo '#include <volt/volt.h>
int main(void) { return volt_version()[0] != 48 + VOLT_VERSION_MAJOR; }' >"$project/client.c"

# Other settings than VOLT's own, to see that they stay.
expect 0 cmake -G 'Unix Makefiles' -S "$project" -B "$SCRATCH/build" -DVOLT_SOURCE="$SOURCE" \
    -DCMAKE_C_FLAGS=-DOUTER -DCMAKE_C_COMPILER="$(cached CMAKE_C_COMPILER "$(dirname "$VOLT")")"
cd "$SCRATCH/build" || exit 1
[ -z "$(cached CMAKE_BUILD_TYPE .)" ] || fail "VOLT chose the build type of the outer project"
for option in APPS TESTS EXAMPLES INSTALL WERROR; do
    [ "$(cached VOLT_$option .)" = OFF ] || fail "VOLT_$option is on in another project"
done
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

# By their own rules, so that the library is not built first.
expect 0 make client.o
expect 0 make -C volt base/core/version.o io/image/itk_call.o nets3d/graph/graph.o
done_testing
