#!/bin/bash
# What a user sees who types something wrong, or asks for help.
. "$3/tests/cli/common.inc"

expect 0 "$VOLT" --help
out_has 'usage: volt COMMAND'
err_is ''
expect 0 "$VOLT" --version
out_has '^volt [0-9]'
expect 2 "$VOLT"
err_is "volt: no command given; 'volt --help' lists them"
out_is ''
expect 2 "$VOLT" zzzzzzzzz
err_is "volt: no command 'zzzzzzzzz'; 'volt --help' lists them"
expect 0 "$VOLT" help exit-codes
out_has '^   5  the file is damaged'

# The page and the program tell the same codes.
while read -r code text; do
    grep -qF "| $code | $text |" "$SOURCE/docs/exit-codes.md" ||
        fail "docs/exit-codes.md lacks '$code $text'"
done < <(tail -n +2 "$OUT")

# A full disk under the standard output is an error, not silence.
if [ -w /dev/full ]; then
    "$VOLT" --help >/dev/full 2>"$ERR"
    [ $? -eq 4 ] || fail "a full standard output must exit with 4"
    err_has '^volt: standard output'
fi
done_testing
