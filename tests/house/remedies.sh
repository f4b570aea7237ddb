#!/bin/bash
# Each remedy of the command (apps/cli/remedies.c) is found by words of a sentence of the library:
# the words must be in the library's sources, as they are there.
# usage: remedies.sh VOLT SCRATCH SOURCE
set -u
cd "$3" || exit 1
mkdir -p "$2"

# joined FILE...: the sources without comments, the literals of one string joined; a quotation mark
# in a string is byte 1.
joined() {
    cat "$@" | tr '\n' ' ' | sed -E -e "s,'[\\]?\"',,g" -e 's,[\\]",\x01,g' \
        -e 's,/\*[^*]*\*+([^/*][^*]*\*+)*/,,g' -e 's/" *"//g'
}
# shellcheck disable=SC2046
joined $(find base volume io parallel nets3d show -name '*.c') | grep -oE '"[^"]*"' >"$2/library.txt"
joined apps/cli/remedies.c | sed -E 's/^.*\} remedies\[\] = \{//; s/\};.*$//' |
    grep -oE '\{"[^"]*", *(NULL|"--)' | sed -E 's/^\{"//; s/", *(NULL|"--)$//' >"$2/words.txt"

rows=$(sed -E '/^static const struct/,/^\};/!d' apps/cli/remedies.c | grep -c '^    {"')
read_rows=$(wc -l <"$2/words.txt")
[ "$rows" -ge 20 ] && [ "$rows" -eq "$read_rows" ] || {
    echo "$read_rows of $rows rows of apps/cli/remedies.c are read"
    exit 1
}
lost=0
while IFS= read -r words; do
    grep -qF -- "$words" "$2/library.txt" || {
        echo "no sentence of the library has the words '$words'"
        lost=1
    }
done <"$2/words.txt"
[ "$lost" -eq 0 ] || exit 1
# A row that no source has is noticed.
! grep -qF -- 'a sentence that the library has never said' "$2/library.txt" || exit 1
echo "$rows rows, each with words of the library"
