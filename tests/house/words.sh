#!/bin/bash
# Documentation, headers and the command's help avoid the words that docs/vocabulary.md forbids,
# and no line of a page reaches 100 columns.
# usage: words.sh VOLT SCRATCH SOURCE
set -u
script=$(realpath "$0")
scratch=$(realpath -m "$2")
cd "$3" || exit 1
bad=0

pages=$(ls README.md CONTRIBUTING.md tests/kit/README.md 2>/dev/null
    find docs -name '*.md' | LC_ALL=C sort)
sources=$(find volt.h base volume io parallel nets3d show apps tests/kit -name '*.h' 2>/dev/null
    find apps -name '*.c' 2>/dev/null)

# Phrases are also found across a line break of a comment or a string.
LC_ALL=C awk '
BEGIN {
    words = "anew|oddity|oddities|litter|whole numbers?|is said|tells? what|beside|to the bit"
    words = "(^|[^a-z_])(" words ")([^a-z_]|$)"
}
FNR == 1 { tail = ""; files++ }
FILENAME == "docs/vocabulary.md" { next }
{
    line = tolower($0)
    sub(/^[ \t]*(\/?\*|>|")?[ \t]*/, "", line)
    sub(/[ \t]*"?,?[ \t]*$/, "", line)
    text = tail " " line
    if (match(text, words)) {
        found = substr(text, RSTART, RLENGTH)
        gsub(/^[^a-z]+|[^a-z]+$/, "", found)
        print FILENAME ":" FNR ": \"" found "\""
        bad = 1
    }
    n = split(line, word, /[ \t]+/)
    tail = n > 1 ? word[n - 1] " " word[n] : word[n]
    if (match(tail, words)) tail = ""
}
END {
    print files + 0 " files looked at"
    exit bad
}' $pages $sources || bad=1

LC_ALL=C awk 'length($0) >= 100 { print FILENAME ":" FNR ": " length($0) " columns"; bad = 1 }
END { exit bad }' $pages || bad=1

# The test itself: a tree with one of each.
if [ -e CMakeLists.txt ]; then
    [ "$(wc -w <<<"$pages $sources")" -gt 200 ] || { echo "too few files" && bad=1; }
    rm -rf "$scratch"
    mkdir -p "$scratch/docs/sub" "$scratch/base/core" "$scratch/apps"
    cd "$scratch" || exit 1
    printf '%s\n' 'Not "oddity", not "litter".' >docs/vocabulary.md
    printf '%s\n' 'Glitter besides: renewal.' 'Oddities.' >README.md
    printf '%99s\n%100s\n' x x >docs/sub/wide.md
    printf '%s\n' '/* Reads a whole' ' * number and starts anew. */' 'int x_anew;' >base/core/a.h
    printf '%s\n' '    "This is "' '    "said twice.",' >apps/cmd_b.c
    cat >expected <<'END'
README.md:2: "oddities"
apps/cmd_b.c:2: "is said"
base/core/a.h:2: "whole number"
docs/sub/wide.md:2: 100 columns
END
    bash "$script" - - . | grep -v 'looked at$' | LC_ALL=C sort >found
    diff expected found || { echo "planted words are not seen as expected" && bad=1; }
    bash "$script" - - . >/dev/null && { echo "a tree with forbidden words passes" && bad=1; }
fi
exit $bad
