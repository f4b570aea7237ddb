#!/bin/bash
# Lists what the last run of ctest in BUILD skipped, and why. A test, or a part of one, that is
# skipped prints "skipped: REASON".
# usage: list-skips.sh BUILD
set -u
log=$1/Testing/Temporary/LastTest.log
[ -r "$log" ] || { echo "no tests were run in $1" && exit 1; }
awk '
    /^[0-9]+\/[0-9]+ Test: / { test = $3 }
    sub(/^.*skipped: /, "") { line[++count] = "  " test ": " $0 }
    END {
        print count == 0 ? "nothing was skipped" : count == 1 ? "1 skip:" : count " skips:"
        for (i = 1; i <= count; i++)
            print line[i]
    }' "$log"
