#!/bin/bash
# Each floor includes only floors below it, and heavy libraries appear in one folder each.
# usage: layers.sh VOLT SCRATCH SOURCE
set -u
script=$(realpath "$0")
volt=$1
scratch=$2
cd "$3" || exit 1
bad=0
seen=0

complain() {
    echo "$1"
    bad=1
}

# Prints the floor of a folder: 0 base, 1 volume, 2 io, 3 parallel, 4 nets3d, 5 show, 6 apps.
floor_of() {
    case $1 in
    base) echo 0 ;; volume) echo 1 ;; io) echo 2 ;; parallel) echo 3 ;;
    nets3d) echo 4 ;; show) echo 5 ;; apps) echo 6 ;; *) echo unknown ;;
    esac
}

# "file:included" for every #include "..." and <...> of the floors.
list_includes() {
    grep -rnoE --include='*.[ch]' '^[[:space:]]*#[[:space:]]*include[[:space:]]*[<"][^>"]+[>"]' \
        base volume io parallel nets3d show apps 2>/dev/null |
        sed -E 's/^([^:]+):[0-9]+:.*[<"]([^>"]+)[>"]$/\1:\2/'
}

while IFS=: read -r file included; do
    seen=$((seen + 1))
    from=$(floor_of "${file%%/*}")
    case $included in
    */*)
        to=$(floor_of "${included%%/*}")
        [ "$to" != unknown ] && [ "$to" -gt "$from" ] &&
            complain "$file includes $included, which lies on a higher floor"
        # parallel is a neighbour: it may see the boxes of volume only, and no io.
        [ "$from" = 3 ] && [ "$to" = 2 ] && complain "$file includes $included: parallel sees no io"
        ;;
    esac
    case $included in
    *dnnl*.h) [[ $file == nets3d/cpu/* ]] || complain "$file includes $included outside nets3d/cpu" ;;
    jansson.h) [[ $file == io/json/* ]] || complain "$file includes $included outside io/json" ;;
    libdeflate.h) [[ $file == io/* ]] || complain "$file includes $included outside io" ;;
    nifti[12].h | nifti[12]_io.h) [[ $file == io/* ]] ||
        complain "$file includes $included outside io" ;;
    png.h | zlib.h) [[ $file == io/* ]] ||
        complain "$file includes $included outside io" ;;
    itk*.h) complain "$file includes $included: ITK is for io/itk/*.cxx" ;;
    mpi.h) [[ $file == parallel/* ]] || complain "$file includes $included outside parallel" ;;
    cuda*.h | cudnn*.h | nccl.h) complain "$file includes $included" ;;
    esac
done < <(list_includes)

# The test itself: a tree with one upward include must be refused, by name.
if [ -e CMakeLists.txt ]; then
    mkdir -p "$scratch/base"
    echo '#include "io/nifti.h"' >"$scratch/base/wrong.h"
    bash "$script" "$volt" "$scratch" "$scratch" |
        grep -q 'base/wrong.h includes io/nifti.h, which lies on a higher floor' ||
        complain "an upward include goes unnoticed"
fi

[ "$seen" -ge 100 ] || complain "only $seen includes found: the test looks at the wrong place"
echo "$seen includes looked at"
exit $bad
