#!/bin/bash
# No function over 100 lines, no file over 800 lines, no line over 96 columns.
# usage: lengths.sh VOLT SCRATCH SOURCE
set -u
scratch=$(realpath -m "$2")
cd "$3" || exit 1

# measure LEAST FILE...: prints what is too long; fewer functions than LEAST are a failure.
# With braces in the Linux style a function opens with '{' and ends with '}' in column 1.
measure() {
    awk -v least="$1" '
    FNR == 1 { open = 0 }
    FNR > 800 { long_file[FILENAME] = FNR }
    length($0) > 96 { print FILENAME ":" FNR ": " length($0) " columns"; bad = 1 }
    /^[{]/ { open = FNR }
    /^[}]/ && open {
        functions++
        if (FNR - open + 1 > 100) {
            print FILENAME ":" open ": a function of " FNR - open + 1 " lines"
            bad = 1
        }
        open = 0
    }
    END {
        for (f in long_file) { print f ": " long_file[f] " lines"; bad = 1 }
        print functions + 0 (functions == 1 ? " function" : " functions") " measured"
        exit bad || functions < least
    }' "${@:2}"
}

status=0
mapfile -t files < <(find base volume io parallel nets3d show apps tests examples volt.h -name '*.[ch]' \
    -o -name '*.cxx' -o -name '*.cpp')
measure 100 "${files[@]}" || status=1

# The test itself: one of each that is too long by one, and what is just short enough.
rm -rf "$scratch"
mkdir -p "$scratch" && cd "$scratch" || exit 1
lines() { yes ';' | head -n "$1"; }
columns() { printf "%$1s\n" ';'; }
{ echo '{' && lines 99 && echo '}'; } >function.c
{ lines 801; } >file.c
columns 97 >line.c
{ echo '{' && lines 98 && echo '}' && columns 96 && lines 699; } >fits.c
measure 0 function.c file.c line.c >found && { echo "a tree with violations passes" && status=1; }
diff - found <<'END' || { echo "planted violations are not seen as expected" && status=1; }
function.c:1: a function of 101 lines
line.c:1: 97 columns
file.c: 801 lines
1 function measured
END
measure 0 fits.c >found || { echo "what is short enough is refused" && cat found && status=1; }
measure 2 fits.c >found && { echo "a missing function goes unnoticed" && status=1; }
exit $status
