#!/bin/bash
# docs/from-nnunet.md names commands and options that are there.
. "$3/tests/cli/common.inc"

grep -o '`volt [^`]*`' "$SOURCE/docs/from-nnunet.md" | tr -d '`' | sort -u >"$SCRATCH/lines"
while read -r _ first second rest; do
    [ "$first" != COMMAND ] || continue
    # A command of one word, or of two.
    if "$VOLT" "$first" --help 2>/dev/null | grep -q "^usage: volt $first \["; then
        rest="$second $rest"
        command=$first
    else
        command="$first $second"
    fi
    # shellcheck disable=SC2086
    expect 0 "$VOLT" $command --help
    for word in $rest; do
        case $word in
        --*) grep -qE -- "(^|[ ,])$word( |\$)" "$OUT" ||
            fail "docs/from-nnunet.md: 'volt $command' has no $word" ;;
        esac
    done
done <"$SCRATCH/lines"
[ "$CHECKS" -gt 30 ] || fail "only $CHECKS commands are named"
done_testing
