#!/bin/bash
# Progress: plain lines on stderr in a pipe, nothing with -q, results alone on stdout.
. "$3/tests/cli/common.inc"

make_data 3
expect 0 "$VOLT" check "$SCRATCH/data"
[ "$(wc -l <"$OUT")" -eq 1 ] || fail "stdout holds more than the result"
! grep -q ' in [0-9.]* s' "$ERR" || fail "a line for what took less than a second"
! grep -q $'[\r\033]' "$ERR" || fail "control characters in a pipe"
expect 0 "$VOLT" check "$SCRATCH/data" -q
err_is ''
expect 0 "$VOLT" preprocess "$SCRATCH/data" --work "$SCRATCH/work" -v
err_has "^work folder: $SCRATCH/work"

# A reader of the result that goes away: the command ends as usual, and one sentence says so.
expect 4 bash -c "'$VOLT' check '$SCRATCH/data' -q | true; exit \${PIPESTATUS[0]}"
err_is 'volt: standard output: Broken pipe'

# On a terminal: one bar that fits, whatever its width, in the locale's characters.
pty=$(dirname "$VOLT")/tests/pty_run
expect 0 "$VOLT" plan "$SCRATCH/data" --work "$SCRATCH/work" -q
# bar COLUMNS VARIABLES...: trains on a terminal; $OUT has one drawn line a line.
bar() {
    local columns=$1
    shift
    rm -rf "$SCRATCH/run"
    expect 0 env "$@" "$pty" "$columns" "$VOLT" train "$SCRATCH/data" -o "$SCRATCH/run" \
        --work "$SCRATCH/work" -c 3d_fullres --fold all --recipe fast --epochs 3 --iterations 12 \
        --validation 1 --batch 2
    cp "$OUT" "$SCRATCH/raw"
    tr '\r' '\n' <"$SCRATCH/raw" | sed -e 's/\x1b\[[0-9]*[A-Z]//g' -e 's/\xe2\x94[\x80\x81]/-/g' |
        grep '%' >"$OUT"
}
# widest N: no drawn line is longer.
widest() {
    local most
    most=$(awk '{ if (length > most) most = length } END { print most + 0 }' "$OUT")
    [ "$most" -le "$1" ] && [ "$most" -gt 0 ] || fail "a bar of $most columns; at most $1 fit"
}
export LC_ALL=C TERM=xterm
bar 80
widest 79
out_has '^epoch [123]/3, loss -?[0-9.]+(, Dice [0-9.]+)?  [#-]+  +[0-9]+ %  0:[0-9]+ left$'
out_has '^epoch 3/3, loss -?[0-9.]+, Dice [0-9.]+'
# epoch lines fit too
tr '\r' '\n' <"$SCRATCH/raw" | sed 's/\x1b\[[0-9]*[A-Z]//g' | grep '^epoch [0-9]*/3: ' >"$OUT"
[ "$(wc -l <"$OUT")" -eq 3 ] || fail "not 3 lines for 3 epochs"
widest 80
# Tiles of the first of several cases count: the bar moves, and says how long it will take.
drawn() {
    tr '\r' '\n' <"$OUT" | sed -e 's/\x1b\[[0-9]*[A-Z]//g' >"$SCRATCH/lines"
    grep '%' "$SCRATCH/lines" >"$OUT"
}
# large FROM TO: the same voxels, each 40 mm long, by the qform alone: many tiles.
large() {
    expect 0 "$VOLT" convert "$1" "$2" -q
    for at in 80 84 88; do printf '\0\0\x20\x42' | dd of="$2" bs=1 seek=$at conv=notrunc status=none; done
    printf '\1\0\0\0' | dd of="$2" bs=1 seek=252 conv=notrunc status=none
}
mkdir -p "$SCRATCH/large"
for file in "$SCRATCH"/data/imagesTr/brats_00[12]_*.nii.gz; do
    large "$file" "$SCRATCH/large/$(basename "$file" .gz)"
done
expect 0 "$pty" 80 "$VOLT" predict "$SCRATCH/run" "$SCRATCH/large" -o "$SCRATCH/masks" --threads 1
drawn
widest 79
out_has '^0/2 cases, [0-9]+/[0-9]+ tiles  #[#-]+ +[1-9][0-9]* %  [0-9:]+ left$'
awk '{ sub(/ %.*/, ""); p = $NF; if (p + 0 < last) bad = 1; last = p + 0 } END { exit bad }' "$OUT" ||
    fail "the percentage falls"
# What is done after the epochs is not named after them.
rm -rf "$SCRATCH/run"
expect 0 "$pty" 80 "$VOLT" train "$SCRATCH/data" -o "$SCRATCH/run" --work "$SCRATCH/work" \
    -c 3d_fullres --fold 0 --recipe fast --epochs 2 --iterations 12 --validation 1 --batch 2 --validate
drawn
! sed '1,/^predicting /d' "$SCRATCH/lines" | grep '%' | grep -q epoch ||
    fail "the validation cases are drawn as an epoch"
for columns in 20 40 60 132 300; do
    bar $columns
    widest $((columns - 1 < 99 ? columns - 1 : 99))
    out_has ' %'
done
bar 100,44 # narrower on the way: what was drawn before is removed
out_has '%'
grep -q $'\x1b\[1A' "$SCRATCH/raw" || fail "a line that now takes two rows is not removed"
bar 80 LC_ALL=en_US.UTF-8
grep -q $'\xe2\x94\x81' "$SCRATCH/raw" || fail "no line characters in a UTF-8 locale"
widest 79
bar 80 NO_COLOR=1
! grep -qE $'\x1b\\[[0-9;]*m' "$SCRATCH/raw" || fail "colours in spite of NO_COLOR"
bar 80 TERM=dumb
! grep -q $'\x1b' "$SCRATCH/raw" || fail "control sequences on a dumb terminal"
[ ! -s "$OUT" ] || fail "a bar on a dumb terminal"
done_testing
