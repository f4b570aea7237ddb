#!/bin/bash
# Progress: plain lines on stderr in a pipe, nothing with -q, results alone on stdout.
. "$3/tests/cli/common.inc"

make_data 3
expect 0 "$VOLT" check "$SCRATCH/data"
[ "$(wc -l <"$OUT")" -eq 1 ] || fail "stdout holds more than the result"
err_has '^3 cases in [0-9.]+ s'
! grep -q $'[\r\033]' "$ERR" || fail "control characters in a pipe"
expect 0 "$VOLT" check "$SCRATCH/data" -q
err_is ''
expect 0 "$VOLT" preprocess "$SCRATCH/data" --work "$SCRATCH/work" -v
err_has "^work folder: $SCRATCH/work"

# A reader of the result that goes away: the command ends as usual, and one sentence says so.
expect 4 bash -c "'$VOLT' check '$SCRATCH/data' -q | true; exit \${PIPESTATUS[0]}"
err_is 'volt: standard output: Broken pipe'
done_testing
