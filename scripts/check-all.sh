#!/bin/bash
# The slow checks, all ways to break it: each stage builds what it needs in its own folder.
# usage: check-all.sh [STAGE]...   format asan asan-core valgrind clang tidy fuzz damage deb onednn
#                             peers sites reliability ranks hosts
# asan-core is the part of asan that CI has time for; without STAGE all others run.
# FUZZ_SECONDS (60) per fuzz target; DAMAGED (5000) files for damage; KILLS (100), PAIRS (6 of each
# command) and LIMITS (200), with SEED (random) for reliability; RANK_KILLS (50), with SEED, for
# ranks; PYTHON: an interpreter with the peers' libraries;
# ONEDNN: a prefix with oneDNN 3 (fetched through pip without it); VOLT_SHARED_DATA: real scans,
# see tests/CMakeLists.txt.
set -u
cd "$(dirname "$0")/.." || exit 1
jobs=$(nproc)
fuzz_seconds=${FUZZ_SECONDS:-60}
failed=()

sources() {
    find volt.h base volume io parallel nets3d show apps tests examples -name '*.[ch]' -o -name '*.cpp' \
        -o -name '*.cxx' | sort
}

configure() { # FOLDER FLAGS...
    local folder=$1
    shift
    cmake -S . -B "$folder" -DVOLT_WERROR=ON -DVOLT_TESTS=ON \
        ${VOLT_SHARED_DATA:+"-DVOLT_SHARED_DATA=$VOLT_SHARED_DATA"} "$@" >"$folder.log" 2>&1 ||
        { cat "$folder.log" && return 1; }
    rm -f "$folder.log"
}

# Skipped where a script says so.
optional() { # COMMAND...
    "$@"
    case $? in
    0 | 77) ;;
    *) return 1 ;;
    esac
}

# The suites that read hostile files and index voxels, and those of ranks.
stage_asan-core() {
    configure build-asan-core -DCMAKE_BUILD_TYPE=Debug -DVOLT_SANITIZE=address,undefined \
        -DCMAKE_C_FLAGS_DEBUG="-O1 -g1" &&
        cmake --build build-asan-core -j "$jobs" --target tests_io tests_volume tests_graph \
            tests_parallel &&
        ctest --test-dir build-asan-core --output-on-failure -j "$jobs" \
            -L '^(io|volume|graph|parallel)$'
}

stage_asan() {
    configure build-asan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVOLT_SANITIZE=address,undefined &&
        cmake --build build-asan -j "$jobs" &&
        ctest --test-dir build-asan --output-on-failure -j "$jobs"
}

# The smaller tests: valgrind is some fifty times slower. It knows no AVX-512.
stage_valgrind() {
    local test ran=0 bad=0
    configure build-valgrind -DCMAKE_BUILD_TYPE=Release &&
        cmake --build build-valgrind -j "$jobs" || return 1
    for test in build-valgrind/tests/test_{base,io,volume,parallel}_*; do
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

# Whole commands on damaged folders under the sanitizers; prints its figures.
stage_damage() {
    configure build-asan -DCMAKE_BUILD_TYPE=RelWithDebInfo -DVOLT_SANITIZE=address,undefined &&
        cmake --build build-asan -j "$jobs" --target volt_cli damage_file || return 1
    cmake --build build-asan -j "$jobs" --target volt_itk >build-asan/itk.log 2>&1 ||
        echo "volt-itk is not built"
    tests/reliability/damage.sh build-asan/volt build-asan/damage . "${DAMAGED:-5000}" \
        "${SEED:-$((RANDOM + 1))}"
}

# Two ranks of the installed volt, with the plug-in of its package.
deb_ranks() { # MPI
    local launch=("mpirun.$1")
    command -v "${launch[0]}" >/dev/null || { echo "skipped: ${launch[0]} is not installed" && return 0; }
    [ "$1" = mpich ] || launch+=(--oversubscribe)
    rm -rf build-deb/run
    OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1 \
        OMPI_MCA_btl_vader_single_copy_mechanism=none timeout 120 "${launch[@]}" -n 2 /usr/bin/volt train \
        build-deb/data --work build-deb/work -o build-deb/run --mesh data=2 --threads 1 --batch 2 \
        --iterations 1 --epochs 1 --validation 1 -q </dev/null
}

# The Debian packages have what they should where Debian wants it; root also installs them.
stage_deb() {
    local package libdir=/usr/lib path bad=0
    rm -f build-deb/*.deb
    make -s deb >build-deb.log 2>&1 || { tail -40 build-deb.log && return 1; }
    rm -f build-deb.log
    path=$(dpkg-architecture -qDEB_HOST_MULTIARCH) && libdir+=/$path
    for package in volt volt-itk volt-mpi volt-mpich; do
        dpkg-deb -c build-deb/${package}_*.deb | awk '{ print substr($6, 2) }' \
            >"build-deb/$package.paths" || return 1
        [ "$(dpkg-deb -f build-deb/${package}_*.deb Package)" = $package ] || bad=1
        # Nothing outside the folders of a Debian package.
        grep -vE "^/(usr/)?$|^/usr/(bin|include|lib|libexec|share)/|^/usr/lib/$" \
            "build-deb/$package.paths" && echo "$package: unexpected paths" && bad=1
    done
    while read -r package path; do
        grep -qxF "$path" "build-deb/$package.paths" || { echo "$package lacks $path" && bad=1; }
    done <<END
volt /usr/bin/volt
volt /usr/include/volt/volt.h
volt $libdir/libvolt.so
volt $libdir/pkgconfig/volt.pc
volt $libdir/cmake/volt/volt-config.cmake
volt /usr/share/doc/volt/copyright
volt /usr/share/man/man1/volt.1
volt-itk /usr/libexec/volt/volt-itk
volt-itk /usr/share/doc/volt-itk/copyright
volt-mpi $libdir/volt/libvolt-mpi.so
volt-mpich $libdir/volt/libvolt-mpich.so
END
    while read -r package path; do
        dpkg-deb -f build-deb/${package}_*.deb Depends | grep -qE "(^|, )$path" ||
            { echo "$package does not depend on $path" && bad=1; }
    done <<'END'
volt libc6
volt libdnnl
volt libnifti
volt libjansson
volt-itk volt \(=
volt-itk libinsighttoolkit
volt-mpi volt \(=
volt-mpi libopenmpi
volt-mpich libmpich
END
    dpkg-deb -f build-deb/volt_*.deb Depends | grep -E 'insighttoolkit|cmocka|mpi' &&
        echo "volt depends on too much" && bad=1
    [ $bad -eq 0 ] || return 1
    if [ "$(id -u)" -ne 0 ]; then
        echo "skipped: the packages are not installed, that needs root"
    elif dpkg -s volt >/dev/null 2>&1; then
        echo "skipped: the packages are not installed, this system has a volt"
    else
        dpkg -i build-deb/*.deb >build-deb/dpkg.log || { cat build-deb/dpkg.log && bad=1; }
        rm -rf build-deb/data build-deb/work build-deb/scan.mha
        /usr/bin/volt --version && /usr/bin/volt phantom brats build-deb/data --cases 4 --size 16 -q &&
            /usr/bin/volt convert build-deb/data/imagesTr/brats_001_0000.nii.gz build-deb/scan.mha &&
            [ "$(pkg-config --modversion volt)" = "$(/usr/bin/volt --version | cut -d' ' -f2)" ] || bad=1
        deb_ranks openmpi || bad=1
        deb_ranks mpich || bad=1
        dpkg -P volt-itk volt-mpi volt-mpich volt >build-deb/dpkg.log || { cat build-deb/dpkg.log && bad=1; }
        [ ! -e /usr/bin/volt ] || { echo "/usr/bin/volt is still there" && bad=1; }
    fi
    return $bad
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
    optional tests/bench/sites.sh build/volt build/sites .
}

# Kills, pairs of processes and limits at random; each prints its figures.
stage_reliability() {
    local seed=${SEED:-$((RANDOM + 1))} bad=0
    configure build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j "$jobs" || return 1
    tests/reliability/kill.sh build/volt build/reliability . "${KILLS:-100}" "$seed" || bad=1
    tests/reliability/pair.sh build/volt build/reliability . "${PAIRS:-6}" "$seed" || bad=1
    tests/reliability/limit.sh build/volt build/reliability . "${LIMITS:-200}" "$seed" || bad=1
    return $bad
}

# kill -9 of random ranks of trainings and predictions under each MPI.
stage_ranks() {
    configure build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j "$jobs" || return 1
    optional tests/reliability/kill_rank.sh build/volt build/kill-rank . "${RANK_KILLS:-50}" \
        "${SEED:-$((RANDOM + 1))}"
}

# Several hosts over TCP; prints efficiency against the speed of their links.
stage_hosts() {
    configure build -DCMAKE_BUILD_TYPE=Release && cmake --build build -j "$jobs" || return 1
    optional tests/parallel/hosts.sh build/volt build/hosts .
}

stages=("$@")
[ ${#stages[@]} -gt 0 ] || stages=(format asan valgrind clang tidy fuzz damage deb onednn peers sites
    reliability ranks hosts)
for stage in "${stages[@]}"; do
    declare -F "stage_$stage" >/dev/null || { echo "no stage '$stage'" && exit 2; }
    echo "== $stage"
    if "stage_$stage"; then echo "== $stage passed"; else failed+=("$stage"); fi
done
[ ${#failed[@]} -eq 0 ] || { echo "FAILED: ${failed[*]}" && exit 1; }
echo "all stages passed: ${stages[*]}"
