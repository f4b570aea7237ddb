#!/bin/bash
# docs/parity.md is what scripts/make-parity.sh writes, and every test that its rows name exists.
. "$3/tests/cli/common.inc"

rows=$SOURCE/docs/parity/rows.txt
expect 0 sh "$SOURCE/scripts/make-parity.sh"
cmp -s "$OUT" "$SOURCE/docs/parity.md" ||
    fail "docs/parity.md is out of date: run scripts/make-parity.sh >docs/parity.md"

# Tests are looked up by name: a test may move to another folder without a change here.
grep -rnoE 'cmocka_unit_test\w*\(\s*\w+' "$SOURCE/tests" --include='test_*.c' |
    sed -E 's|^.*/test_(\w+)\.c:[0-9]+:.*\(\s*(\w+)$|\1:\2|' | sort -u >"$SCRATCH/tests"
[ "$(wc -l <"$SCRATCH/tests")" -gt 300 ] || fail "the list of cmocka tests is too short"
while read -r name; do
    CHECKS=$((CHECKS + 1))
    case $name in
    *.sh)
        [ -n "$(find "$SOURCE/tests" -name "$name")" ] || fail "$rows: there is no script $name"
        ;;
    *)
        found=$(grep -cE "(^|:)$name\$" "$SCRATCH/tests")
        [ "$found" -eq 1 ] || fail "$rows: $found tests are called $name, expected 1"
        ;;
    esac
done < <(sed -nE 's/^(test|external): //p' "$rows" | sort -u)
# A file whose form has changed must not pass unread.
[ "$CHECKS" -gt 150 ] || fail "$rows names only $CHECKS tests"

# The links of the page lead somewhere.
while read -r page; do
    exists "$SOURCE/docs/$page"
done < <(sed -nE 's/^\[.*\]: (.*)#.*$/\1/p' "$SOURCE/docs/parity.md" | sort -u)
done_testing
