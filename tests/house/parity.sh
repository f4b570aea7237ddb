#!/bin/bash
# docs/parity.md names the tests that hold its rows: each of them exists.
. "$3/tests/cli/common.inc"

page=$SOURCE/docs/parity.md
while IFS=: read -r program test; do
    CHECKS=$((CHECKS + 1))
    file=$SOURCE/tests/${program%.*}/test_${program#*.}.c
    grep -qsE "cmocka_unit_test\w*\($test\b" "$file" ||
        fail "$page: there is no test $program:$test"
done < <(grep -oE '`(base|volume|io|nets3d)\.\w+:\w+`' "$page" | tr -d '`' | sort -u)
for script in $(grep -oE '`cli\.\w+`' "$page" | tr -d '`' | sort -u); do
    CHECKS=$((CHECKS + 1))
    [ "$script" = cli.A ] || exists "$SOURCE/tests/cli/${script#cli.}.sh"
done
# The rows are many; a page whose form has changed must not pass unread.
[ $CHECKS -gt 60 ] || fail "$page names only $CHECKS tests"
done_testing
