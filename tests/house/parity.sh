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
# missing ROWS: prints the names of tests in ROWS that are not those of exactly one test.
missing() {
    sed -nE 's/^(test|external): //p' "$1" | LC_ALL=C sort -u | while read -r name; do
        case $name in
        *.sh)
            [ -n "$(find "$SOURCE/tests" -name "$name")" ] || echo "there is no script $name"
            ;;
        *)
            found=$(grep -cE "(^|:)$name\$" "$SCRATCH/tests")
            [ "$found" -eq 1 ] || echo "$found tests are called $name, expected 1"
            ;;
        esac
    done
}
expect 0 missing "$rows"
out_is ''
# A file whose form has changed must not pass unread.
named=$(grep -cE '^(test|external): ' "$rows")
[ "$named" -gt 150 ] || fail "$rows names only $named tests"
# The test itself: names of no test are seen.
printf '%s\n' 'id: x' 'test: parity.sh' 'test: planted.sh' "test: $(head -n 1 "$SCRATCH/tests")" \
    'external: planted_test' >"$SCRATCH/rows"
expect 0 missing "$SCRATCH/rows"
out_is $'there is no script planted.sh\n0 tests are called planted_test, expected 1'

# The links of the page lead somewhere.
while read -r page; do
    exists "$SOURCE/docs/$page"
done < <(sed -nE 's/^\[.*\]: (.*)#.*$/\1/p' "$SOURCE/docs/parity.md" | sort -u)
done_testing
