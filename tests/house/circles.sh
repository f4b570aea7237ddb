#!/bin/bash
# No two source files need each other, directly or through others; nor two rooms, nor two headers.
# The arrows are what the object files define and leave undefined (nm), so they are exact: tables,
# macros and inline functions count where the compiler has put them.
# usage: circles.sh VOLT SCRATCH SOURCE
set -u
build=$(realpath "$(dirname "$1")")
here=$(cd "$(dirname "$0")" && pwd)
scratch=$(realpath -m "$2")
cd "$3" || exit 1
rm -rf "$scratch"
mkdir -p "$scratch" || exit 1
command -v nm >/dev/null || { echo "skipped: nm is not installed" && exit 77; }

# Circles that stay, with the reason.
cat >"$scratch/allowed" <<'END'
nets3d/cpu nets3d/cuda nets3d/device nets3d/ops: the registry lists the devices
nets3d/train/budget.c nets3d/train/session.c nets3d/train/setup.c: one struct, opened, set up and fitted
END

# "FILE T|U SYMBOL" of each object file whose source exists (a moved source leaves its object).
# The kernels of one instruction set stand for all.
symbols_of() {
    (cd "$1" && find . -name '*.c.o') |
        grep -E '^\./(apps/)?CMakeFiles/' | grep -vE '/volt_isa_(avx|sse|neon)[^/]*\.dir/' |
        sed -E 's,^\./(apps/)?CMakeFiles/[^/]*\.dir/(.*)\.o$,& \1\2,' |
        while read -r object source; do
            [ -f "$source" ] && echo "$object $source"
        done >"$scratch/objects"
    (cd "$1" && cut -d' ' -f1 "$scratch/objects" | xargs nm -A -P 2>/dev/null) |
        awk 'FNR == NR { source[$1] = $2; next }
             { object = $1; sub(/:$/, "", object); sub(/\[.*/, "", object) }
             $3 ~ /^[TDRBVWC]$/ { print source[object], "T", $2 }
             $3 ~ /^[Uu]$/ { print source[object], "U", $2 }' "$scratch/objects" -
}

# "FILE T|U NAME" for headers: each defines itself and needs what it includes.
includes_of() {
    find base volume io parallel nets3d show apps -name '*.h' 2>/dev/null | xargs grep -oE '^ *# *include *"[^"]+"' /dev/null |
        awk -F'"' '{
            file = $1; sub(/:.*/, "", file); folder = file; sub(/\/[^\/]*$/, "", folder)
            name = $2
            if (name ~ /^\.\.\//) { sub(/^\.\.\//, "", name) }
            else if (name !~ /\//) { name = folder "/" name }
            print file, "T", file; print file, "U", name
        }' | sort -u
}

# Reads "FILE T|U SYMBOL", prints each circle of files with the arrows that tie it.
circles_of() {
    awk -f "$here/circles.awk" "$scratch/allowed" -
}

bad=0
symbols_of "$build" >"$scratch/symbols"
files=$(cut -d' ' -f1 "$scratch/symbols" | sort -u | wc -l)
[ "$files" -ge 100 ] || { echo "only $files object files below $build" && exit 1; }
circles_of <"$scratch/symbols" || bad=1
# io/json/json.c belongs to the room io/json.
sed -E 's,^([^/ ]+/[^/ ]+)/[^ ]*,\1,; s,^(apps)/[^ ]*,\1,' "$scratch/symbols" >"$scratch/rooms"
circles_of <"$scratch/rooms" || bad=1
includes_of >"$scratch/includes"
circles_of <"$scratch/includes" || bad=1

# The test itself: a circle of three must be seen, and one that is allowed must not be.
printf '%s\n' 'x/a.c T a' 'x/a.c U b' 'x/b.c T b' 'x/b.c U c' 'x/c.c T c' 'x/c.c U a' \
    'x/d.c T d' 'x/d.c U a' >"$scratch/planted"
circles_of <"$scratch/planted" | grep -q '^circle: x/a.c x/b.c x/c.c$' ||
    { echo "a circle of three files goes unnoticed" && bad=1; }
echo "x/a.c x/b.c x/c.c: one struct" >"$scratch/allowed"
circles_of <"$scratch/planted" >/dev/null || { echo "an allowed circle is refused" && bad=1; }
echo "x/a.c x/b.c: one struct" >"$scratch/allowed"
circles_of <"$scratch/planted" >/dev/null && { echo "a circle that grew goes unnoticed" && bad=1; }

echo "$files object files looked at"
exit $bad
