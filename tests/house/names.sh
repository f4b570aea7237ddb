#!/bin/bash
# Names of cmocka tests have fewer than 45 characters and are unique, so that one name selects
# one test and docs may refer to it; names of test programs are unique in their floor.
# usage: names.sh VOLT SCRATCH SOURCE
set -u
cd "$3" || exit 1
bad=0

# "NAME FILE" of all tests below the folders.
names_of() {
    find "$@" -name '*.c' | xargs awk '{
        while (match($0, /cmocka_unit_test(_[a-z_]*)?\([a-z0-9_]+/)) {
            name = substr($0, RSTART, RLENGTH)
            sub(/.*\(/, "", name)
            print name, FILENAME
            $0 = substr($0, RSTART + RLENGTH)
        }
    }'
}

# Complains about long and repeated names of a list.
check() {
    awk '{ file[$1] = file[$1] " " $2; count[$1]++ }
         END {
             for (name in count) {
                 if (length(name) >= 45) { print name ": " length(name) " characters"; bad = 1 }
                 if (count[name] > 1) { print name ": in" file[name]; bad = 1 }
             }
             exit bad
         }'
}

names_of tests >"$2.names" || exit 1
check <"$2.names" || bad=1
grep -rlE 'cmocka_unit_test\w*\($' tests --include='*.c' && echo "a name on a line of its own is not seen" && bad=1
programs=$(find tests -name 'test_*.c' | sed -E 's|^tests/([^/]*)/.*/([^/]*)$|\1 \2|' | sort | uniq -d)
[ -z "$programs" ] || { echo "two programs of one name: $programs" && bad=1; }

long=a_name_that_nobody_would_ever_type_to_select_it
[ "$(printf '%s\n' "$long a.c" 'twice a.c' 'twice b.c' 'once a.c' | check | wc -l)" -eq 2 ] ||
    { echo "wrong names go unnoticed" && bad=1; }
[ "$(wc -l <"$2.names")" -ge 400 ] || { echo "only $(wc -l <"$2.names") names found" && bad=1; }
echo "$(wc -l <"$2.names") tests looked at"
exit $bad
