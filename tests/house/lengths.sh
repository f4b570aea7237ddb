#!/bin/bash
# No function over 100 lines, no file over 800 lines, no line over 96 columns.
# usage: lengths.sh VOLT SCRATCH SOURCE
set -u
cd "$3" || exit 1
files=$(find base volume io parallel nets3d show apps tests examples volt.h -name '*.[ch]' 2>/dev/null | sort)
# With braces in the Linux style a function opens with '{' and ends with '}' in column 1.
awk '
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
    print functions + 0 " functions measured"
    exit bad || functions < 100
}' $files
