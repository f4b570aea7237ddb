#!/bin/bash
# What a user sees who types something wrong, or asks for help.
. "$3/tests/cli/common.inc"

expect 0 "$VOLT" --help
out_has 'usage: volt COMMAND'
err_is ''
[ -z "$(awk 'length($0) > 80' "$OUT")" ] || fail "a line of this help is over 80 columns"
expect 0 "$VOLT" --version
out_has '^volt [0-9]'
expect 2 "$VOLT"
err_is "volt: no command given; 'volt --help' lists all commands"
out_is ''
expect 2 "$VOLT" zzzzzzzzz
err_is "volt: unknown command 'zzzzzzzzz'; 'volt --help' lists all commands"
# Every command that is listed has help with an example, and knows its own options.
"$VOLT" --help | sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' | sed 's/ *$//' \
    >"$SCRATCH/commands"
[ "$(wc -l <"$SCRATCH/commands")" -ge 25 ] || fail "fewer than 25 commands are listed"
while read -r first second; do
    # shellcheck disable=SC2086
    expect 0 "$VOLT" $first $second --help
    out_has "^usage: volt $first${second:+ $second} \[options\]"
    out_has '^  \$ volt '
    err_is ''
    [ -z "$(awk 'length($0) > 80' "$OUT")" ] || fail "a line of this help is over 80 columns"
    # shellcheck disable=SC2086
    expect 2 "$VOLT" $first $second --no-such-option
    err_one_line
done <"$SCRATCH/commands"
expect 0 "$VOLT" help train
out_has '^usage: volt train'
expect 2 "$VOLT" help train evaluate
err_is "volt: unexpected argument 'evaluate'; usage: volt help [COMMAND]"
expect 2 "$VOLT" help --nothing
err_one_line
expect 0 "$VOLT" help bench
out_has '^  bench net '
expect 0 "$VOLT" bench --help
out_has '^  bench io '
# Each heading has commands below it, and none is listed twice.
[ "$("$VOLT" --help | grep -cE '^[a-z ]+:$')" -eq 6 ] || fail "there are not six headings"
[ -z "$(sort "$SCRATCH/commands" | uniq -d)" ] || fail "a command is listed twice"

# Every variable that the program reads is documented.
expect 0 "$VOLT" help environment
[ -z "$(awk 'length($0) > 80' "$OUT")" ] || fail "a line of this help is over 80 columns"
(cd "$SOURCE" && grep -rhoE --include='*.[ch]' 'getenv\("[A-Z_]+"\)' base volume io nets3d apps) |
    sed 's/.*"\(.*\)".*/\1/' | sort -u >"$SCRATCH/variables"
[ "$(wc -l <"$SCRATCH/variables")" -ge 8 ] || fail "fewer than 8 variables are read"
while read -r variable; do
    out_has "(^|[ ,])$variable"
done <"$SCRATCH/variables"

# Near misses are recognized.
expect 2 "$VOLT" tarin
err_is "volt: unknown command 'tarin'; did you mean 'train'?"
expect 0 "$VOLT" bench net --net hippocampus --patch 16,16,16 --repeat 1 --steps --json
out_json net median_s steps
expect 2 "$VOLT" bench
err_has "'bench' needs a subcommand"
expect 2 "$VOLT" train x -o y --epoch 3
err_is "volt: volt train has no option '--epoch'; did you mean '--epochs'?"

# Values: missing, of the wrong kind, out of range, not one of the words.
expect 2 "$VOLT" train x -o
err_is 'volt: -o needs a value: RUN'
expect 2 "$VOLT" train x -o --resume
err_is 'volt: -o needs a value: RUN'
expect 2 "$VOLT" train x -o y --epochs 2.5
err_is "volt: --epochs: '2.5' is not an integer from 1 to 1000000"
expect 2 "$VOLT" train x -o y --epochs=0
err_is "volt: --epochs: '0' is not an integer from 1 to 1000000"
expect 2 "$VOLT" train x -o y --epochs 0x10
err_one_line
expect 2 "$VOLT" train x -o y --budget 30x
err_is "volt: --budget: '30x' is not a duration such as 90s, 30m or 1h30m from 10 to 30000000"
expect 2 "$VOLT" train x -o y --precision fp64
err_is "volt: --precision: 'fp64' is not auto|fp32|bf16|fp16|tf32"
expect 2 "$VOLT" predict run scan -o y --checkpoint worst
err_is "volt: --checkpoint: 'worst' is not best|latest"
expect 2 "$VOLT" evaluate a b --ignore x
err_is "volt: --ignore: 'x' is not an integer from -1 to 32767"
# Lists: as many numbers as their placeholder says.
for list in 40 40,230 1,2,3 1,2,3,4,5,6,7,8; do
    expect 4 "$VOLT" evaluate "$SCRATCH/none" "$SCRATCH/none" --label-thresholds $list
    expect 4 "$VOLT" check "$SCRATCH/none" --label-thresholds $list
done
expect 2 "$VOLT" evaluate a b --label-thresholds 40,x,3
err_is "volt: --label-thresholds: 'x' in '40,x,3' is not a number"
expect 2 "$VOLT" evaluate a b --label-thresholds 40,,3
err_is "volt: --label-thresholds: '40,,3' has a comma without a number"
expect 2 "$VOLT" evaluate a b --label-thresholds 40,
err_one_line
expect 2 "$VOLT" convert a b --spacing 1
err_is "volt: --spacing: '1' has 1 number; 3 are expected, written x,y,z"
expect 2 "$VOLT" convert a b --spacing 1,1,0
err_is "volt: --spacing: '0' in '1,1,0' is not a number from 0.001 to 1000"
expect 2 "$VOLT" augment a b -o c --patch 1,2,3,4
err_is "volt: --patch: '1,2,3,4' has 4 numbers; 2 or 3 are expected, written [D,]H,W"
expect 2 "$VOLT" evaluate a b --ignore 1,2
err_is "volt: --ignore: '1,2' has 2 numbers; 1 is expected, written LABEL"
expect 2 "$VOLT" train x -o y --class-weights 1,a
err_one_line
expect 2 "$VOLT" train x -o y --resume=yes
err_is 'volt: --resume takes no value'
expect 2 "$VOLT" train x -o ''
err_is 'volt: --output: the value is empty'
expect 2 "$VOLT" train x y -o z
err_is "volt: unexpected argument 'y'; usage: volt train [options] DATASET -o RUN"
expect 2 "$VOLT" info --threads -1 x
err_is "volt: --threads: '-1' is not an integer from 0 to 4096"
# After -- everything is an argument.
expect 4 "$VOLT" info -- --threads
err_has 'cannot open --threads'

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
