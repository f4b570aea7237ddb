#!/bin/bash
# The installed tree serves its clients: every example is built with pkg-config and with
# find_package, and runs; the command and its helper work from where they were moved to.
# usage: install.sh VOLT SCRATCH SOURCE
. "$3/tests/cli/common.inc"
build=$(dirname "$VOLT")
prefix=$SCRATCH/prefix

cached() { sed -n "s/^$1:[A-Z]*=//p" "$build/CMakeCache.txt"; }
skip() { echo "skipped: $1" && exit 77; }
[ -z "$(cached VOLT_SANITIZE)" ] || skip "clients of a library with sanitizers need them too"
for tool in cmake make pkg-config c++; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
CC=$(cached CMAKE_C_COMPILER)
export CC CFLAGS='-O1 -Werror' CXXFLAGS='-O1 -Werror'
unset VOLT_ITK

# Installed, then moved: nothing may remember where it was.
expect 0 cmake --install "$build" --prefix "$SCRATCH/staged"
mv "$SCRATCH/staged" "$prefix"
# Binaries are left out: their debug information names the sources.
expect 1 grep -rIF -e "$SCRATCH" -e "$build" -e "$SOURCE" "$prefix"
for file in include/volt/volt.h share/doc/volt/LICENSE share/doc/volt/CONTRIBUTING.md \
    bin/volt; do
    exists "$prefix/$file"
done
if [ -d "$build/man" ]; then
    for file in man/man1/volt.1 bash-completion/completions/volt zsh/site-functions/_volt \
        fish/vendor_completions.d/volt.fish; do
        exists "$prefix/share/$file"
    done
fi
# Links of the installed pages lead to installed files.
# dangling FOLDER: "PAGE: LINK" for each that does not.
dangling() {
    (cd "$1" && find . -name '*.md' -exec grep -oHE '\]\([^)# ]+|^\[[^]]+\]: [^# ]+' {} + |
        sed -E 's/:(\]\(|\[[^]]+\]: )/ /' | grep -vE ' (https?|mailto):' |
        while read -r page link; do
            [ -e "$(dirname "$page")/$link" ] || echo "$page: $link"
        done)
}
expect 0 dangling "$prefix/share/doc/volt"
out_is ''
mkdir "$SCRATCH/links"
printf '%s\n' '[here](a.md#x), [lost](../b.h), [site](https://c.org)' '[id]: d.md#id' >"$SCRATCH/links/a.md"
expect 0 dangling "$SCRATCH/links"
out_is $'./a.md: ../b.h\n./a.md: d.md'
PKG_CONFIG_PATH=$(dirname "$(find "$prefix" -name volt.pc)")
libdir=$(dirname "$PKG_CONFIG_PATH")
export PKG_CONFIG_PATH
version=$("$VOLT" --version)
expect 0 pkg-config --modversion volt
out_is "${version#volt }"
expect 0 "$prefix/bin/volt" --version
out_is "$version"
expect 0 find "$prefix/include/volt" -mindepth 3
out_is '' # only a floor's own headers

# Every example, both ways.
examples=$prefix/share/doc/volt/examples
mkdir "$SCRATCH/pkg-config"
expect 0 make -C "$examples" OUT="$SCRATCH/pkg-config"
expect 0 cmake -S "$examples" -B "$SCRATCH/cmake" -DCMAKE_PREFIX_PATH="$prefix"
expect 0 cmake --build "$SCRATCH/cmake"
export LD_LIBRARY_PATH=$libdir${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
mkdir "$SCRATCH/other"
printf '%s\n' 'cmake_minimum_required(VERSION 3.18)' 'project(other LANGUAGES C)' \
    'find_package(Volt REQUIRED)' 'get_target_property(unused volt::volt LOCATION)' \
    >"$SCRATCH/other/CMakeLists.txt"
expect 0 cmake -S "$SCRATCH/other" -B "$SCRATCH/other/build" -DCMAKE_PREFIX_PATH="$prefix"

# They train, segment and resample. Four channels of 24 x 24 x 16 voxels.
make_data 3 24
export OMP_NUM_THREADS=2
expect 0 "$SCRATCH/pkg-config/example_train" "$SCRATCH/data" "$SCRATCH/run" 1 2
out_has '^epochs: 1, iterations in each: 2, loss [0-9.-]+, validation Dice'
err_has 'iterations 2/2'
expect 1 "$SCRATCH/cmake/example_train" "$SCRATCH/data" "$SCRATCH/run" 1 2
err_has 'train: .*run'

scan=$SCRATCH/data/imagesTr/$(cd "$SCRATCH/data/imagesTr" && set -- *_0000.nii.gz && echo "${1%_0000*}")
# raw FILE: the voxels alone, as they lie in memory; a mask has its labels' names before them.
raw() {
    gzip -dc "$1" >"$SCRATCH/raw.nii"
    tail -c +$((1 + $(od -An -tfF -j108 -N4 "$SCRATCH/raw.nii" | tr -d ' ' | cut -d. -f1))) "$SCRATCH/raw.nii"
}
for channel in 0 1 2 3; do raw "${scan}_000$channel.nii.gz"; done >"$SCRATCH/scan.raw"
same() { expect 0 cmp "$1" "$2"; }
mkdir "$SCRATCH/scan"
cp "${scan}"_*.nii.gz "$SCRATCH/scan"
expect 0 "$prefix/bin/volt" predict "$SCRATCH/run" "$SCRATCH/scan" -o "$SCRATCH/masks" -q
raw "$SCRATCH/masks/$(basename "$scan").nii.gz" >"$SCRATCH/mask.raw"
segment=("$SCRATCH/run" "$SCRATCH/scan.raw" 4 16 24 24 10)
for program in pkg-config/example_segment cmake/example_segment pkg-config/example_segment_cpp \
    cmake/example_segment_cpp; do
    expect 0 "$SCRATCH/$program" "${segment[@]}" "$SCRATCH/labels.raw"
    out_has '^[a-z].*: [0-9]+ voxels$'
    same "$SCRATCH/labels.raw" "$SCRATCH/mask.raw"
    expect 1 "$SCRATCH/$program" "$SCRATCH/none" "${segment[@]:1}" "$SCRATCH/labels.raw"
    err_has '^segment: .*none'
done
if command -v python3 >/dev/null; then
    expect 0 python3 "$examples/segment.py" "${segment[@]}" "$SCRATCH/python.raw"
    same "$SCRATCH/python.raw" "$SCRATCH/mask.raw"
    expect 1 python3 "$examples/segment.py" "$SCRATCH/none" "${segment[@]:1}" "$SCRATCH/x"
    err_has '^segment.py: .*none'
else
    echo "skipped: segment.py, python3 is not installed"
fi

expect 0 "$VOLT" convert "${scan}_0000.nii.gz" "$SCRATCH/want.nii.gz" --spacing 5,5,5 --dtype float32
for way in pkg-config cmake; do
    expect 0 "$SCRATCH/$way/example_resample" "${scan}_0000.nii.gz" "$SCRATCH/$way.nii.gz" 5
    out_is '48 x 48 x 32 voxels'
    raw "$SCRATCH/$way.nii.gz" >"$SCRATCH/$way.raw"
    raw "$SCRATCH/want.nii.gz" >"$SCRATCH/want.raw"
    same "$SCRATCH/$way.raw" "$SCRATCH/want.raw"
done

# The helper is found from bin/ and from a client's process.
if [ -x "$build/volt-itk" ]; then
    exists "$prefix/libexec/volt/volt-itk"
    expect 0 "$prefix/bin/volt" convert "${scan}_0000.nii.gz" "$SCRATCH/moved.mha"
    expect 0 "$SCRATCH/cmake/example_resample" "$SCRATCH/moved.mha" "$SCRATCH/moved.nrrd" 10
else
    echo "skipped: volt-itk was not built"
fi
# Plug-ins lie where the command and a client's process look for them.
expect 0 "$VOLT" phantom liver "$SCRATCH/liver" --cases 3 --size 24 --seed 5 -q
one=$(find "$SCRATCH/liver/imagesTr" -name '*_0000.nii.gz' | head -1)
expect 0 "$SCRATCH/cmake/example_ranks" "$SCRATCH/liver" "$SCRATCH/alone" 1 2 "$one" "$SCRATCH/alone.nii.gz"
out_has '^loss [0-9.-]+ on 1 rank\(s\), self$'
[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none OMP_NUM_THREADS=1
for mpi in openmpi mpich; do
    case $mpi in
    openmpi) launch=(mpirun.openmpi --oversubscribe) plugin=libvolt-mpi.so name='Open MPI' ;;
    mpich) launch=(mpirun.mpich) plugin=libvolt-mpich.so name=MPICH ;;
    esac
    [ -e "$build/$plugin" ] || { echo "skipped: $plugin was not built" && continue; }
    exists "$libdir/volt/$plugin"
    command -v "${launch[0]}" >"$SCRATCH/null" || { echo "skipped: ${launch[0]} is not installed" && continue; }
    ranks=(timeout 120 "${launch[@]}" -n 2)
    example=("$SCRATCH/cmake/example_ranks" "$SCRATCH/liver" "$SCRATCH/$mpi" 1 2 "$one")
    expect 0 "${ranks[@]}" "${example[@]}" "$SCRATCH/$mpi.nii.gz"
    out_has "^loss [0-9.-]+ on 2 rank\\(s\\), $name"
    exists "$SCRATCH/$mpi.nii.gz"
    expect 10 "${ranks[@]}" "${example[@]}" "$SCRATCH/never.nii.gz"
    [ "$(grep -c '^ranks: ' "$ERR")" -eq 1 ] || fail "not one rank says what is wrong"
    err_has "^ranks: .*/$mpi already contains a run"
    expect 0 "${ranks[@]}" "$prefix/bin/volt" predict "$SCRATCH/$mpi" "$one" -o "$SCRATCH/$mpi-masks" -q
done
done_testing
