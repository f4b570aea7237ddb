#!/bin/bash
# The slow checks, all ways to break it: each stage builds what it needs in its own folder.
# usage: check-all.sh [STAGE]...   format asan asan-core valgrind clang tidy fuzz onednn peers sites
# asan-core is the part of asan that CI has time for; without STAGE all others run.
# FUZZ_SECONDS (60) per fuzz target; PYTHON: an interpreter with the peers' libraries;
# ONEDNN: a prefix with oneDNN 3 (fetched through pip without it); VOLT_SHARED_DATA: real scans,
# see tests/CMakeLists.txt.
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=$(nproc)
fuzz_seconds=${FUZZ_SECONDS:-60}
failed=()

sources() {
    find volt.h base volume io nets3d show apps tests examples -name '*.[ch]' -o -name '*.cpp' \
        -o -name '*.cxx' | sort
}

configure() { # FOLDER FLAGS...
    local folder=$1
    shift
    cmake -S . -B "$folder" -DVOLT_WERROR=ON \
        ${VOLT_SHARED_DATA:+"-DVOLT_SHARED_DATA=$VOLT_SHARED_DATA"} "$@" >"$folder.log" 2>&1 ||
        { cat "$folder.log" && return 1; }
    rm -f "$folder.log"
}

# The suites that read hostile files and index voxels.
stage_asan-core() {
    configure build-asan-core -DCMAKE_BUILD_TYPE=Debug -DVOLT_SANITIZE=address,undefined \
        -DCMAKE_C_FLAGS_DEBUG="-O1 -g1" &&
        cmake --build build-asan-core -j "$jobs" --target tests_io tests_volume tests_graph &&
        ctest --test-dir build-asan-core --output-on-failure -j "$jobs" -L '^(io|volume|graph)$'
}

stage_asan() {
    configure build-asan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVOLT_SANITIZE=address,undefined &&
        cmake --build build-asan -j "$jobs" &&
        ctest --test-dir build-asan --output-on-failure -j "$jobs"
}

# The small tests only: valgrind is some fifty times slower. It knows no AVX-512.
stage_valgrind() {
    local test ran=0 bad=0
    configure build-valgrind -DCMAKE_BUILD_TYPE=Release &&
        cmake --build build-valgrind -j "$jobs" || return 1
    for test in build-valgrind/tests/test_{base,io}_*; do
        [ -x "$test" ] || continue
        ran=$((ran + 1))
        (cd build-valgrind/tests && VOLT_ISA=base OMP_NUM_THREADS=2 timeout 600 valgrind -q \
            --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite \
            "./$(basename "$test")" >valgrind.log 2>&1)
        case $? in
        0 | 77) ;;
        *) echo "$test:" && tail -40 build-valgrind/tests/valgrind.log && bad=1 ;;
        esac
    done
    echo "$ran programs under valgrind"
    [ $ran -gt 0 ] && [ $bad -eq 0 ]
}

stage_clang() {
    configure build-clang -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Release &&
        cmake --build build-clang -j "$jobs" &&
        ctest --test-dir build-clang --output-on-failure -j "$jobs"
}

stage_format() {
    sources | xargs clang-format --dry-run -Werror
}

stage_tidy() {
    configure build-clang -DCMAKE_C_COMPILER=clang -DCMAKE_EXPORT_COMPILE_COMMANDS=ON &&
        sources | grep '\.c$' | grep -vE '^(tests|examples)/|\.isa\.c$' |
        xargs -P "$jobs" -n 4 clang-tidy -p build-clang --quiet
}

stage_fuzz() {
    local target name ran=0 bad=0
    configure build-fuzz -DCMAKE_C_COMPILER=clang -DVOLT_FUZZ=ON -DVOLT_TESTS=OFF \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo && cmake --build build-fuzz -j "$jobs" || return 1
    for target in build-fuzz/fuzz/fuzz_*; do
        [ -f "$target" ] && [ -x "$target" ] || continue
        ran=$((ran + 1))
        name=$(basename "$target")
        mkdir -p "build-fuzz/corpus/$name"
        echo "$name, $fuzz_seconds s"
        "$target" -max_total_time="$fuzz_seconds" -rss_limit_mb=2048 -timeout=10 \
            -artifact_prefix="build-fuzz/$name-" -print_final_stats=1 "build-fuzz/corpus/$name" \
            "testdata/fuzz/${name#fuzz_}" >"build-fuzz/$name.log" 2>&1 ||
            { tail -40 "build-fuzz/$name.log" && bad=1; }
        grep -E 'number_of_executed_units' "build-fuzz/$name.log"
    done
    [ $ran -gt 0 ] && [ $bad -eq 0 ]
}

# All tests once more with oneDNN 3, as Debian 13 and Ubuntu 24.04 have it.
stage_onednn() {
    local prefix=${ONEDNN:-build-onednn/prefix}
    if [ -z "${ONEDNN:-}" ]; then
        python3 -m venv "$prefix" && "$prefix/bin/pip" install -q onednn-devel-cpu-gomp || return 1
    fi
    configure build-onednn -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$(realpath "$prefix")" &&
        grep -q "VOLT_dnnl_LIBRARY:FILEPATH=$(realpath "$prefix")" build-onednn/CMakeCache.txt &&
        cmake --build build-onednn -j "$jobs" &&
        ctest --test-dir build-onednn --output-on-failure -j "$jobs"
}

# Files written here are read by the peers' libraries, and the other way round.
stage_peers() {
    local log=build/peers.log
    [ -n "${PYTHON:-}" ] || { echo "skipped: PYTHON names no interpreter" && return 0; }
    configure build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j "$jobs" &&
        ctest --test-dir build --output-on-failure -R peers | tee "$log" &&
        ! grep -qE 'Skipped|No tests were found' "$log"
}

# Data sets in their sites' layouts, made from real scans, go the whole way.
stage_sites() {
    configure build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j "$jobs" || return 1
    tests/bench/sites.sh build/volt build/sites .
    case $? in
    0) ;;
    77) echo "skipped" ;;
    *) return 1 ;;
    esac
}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(format asan valgrind clang tidy fuzz onednn peers sites)
for stage in "${stages[@]}"; do
    declare -F "stage_$stage" >/dev/null || { echo "no stage '$stage'" && exit 2; }
    echo "== $stage"
    if "stage_$stage"; then echo "== $stage passed"; else failed+=("$stage"); fi
done
[ ${#failed[@]} -eq 0 ] || { echo "FAILED: ${failed[*]}" && exit 1; }
echo "all stages passed: ${stages[*]}"
