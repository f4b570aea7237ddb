#!/bin/bash
# volt train and predict: a tiny run from scans to masks, stopped, resumed, and its mistakes.
. "$3/tests/cli/common.inc"

make_data 4 24
data=$SCRATCH/data work=$SCRATCH/work run=$SCRATCH/run
train=("$VOLT" train "$data" --work "$work" --threads 2 --precision fp32 --batch 2 \
    --epochs 2 --iterations 4 --validation 2)

# The tensors of a checkpoint; its header tells how long the run took.
tensors() { tail -c +$((9 + $(od -An -tu8 -N8 "$1"))) "$1"; }

expect 2 "$VOLT" train "$data"
err_is 'volt: volt train needs an output: -o PATH'
expect 0 "${train[@]}" -o "$run" --json -q
out_json run epochs iterations finished seconds peak_bytes
exists "$run/checkpoint_latest.safetensors"
exists "$run/log.jsonl"
[ "$(wc -l <"$run/log.jsonl")" -eq 2 ] || fail "log.jsonl has no line per epoch"
expect 0 "$VOLT" plot "$run" -o "$SCRATCH/curves.svg"
grep -q '>moving average of the mean</text>' "$SCRATCH/curves.svg" || fail "no Dice in the curves"
no_leftovers "$run"
expect 10 "${train[@]}" -o "$run" -q
err_one_line

# A training of days: the budget that would shorten it is named as the option takes it.
"${train[@]}" --epochs 100000 -o "$SCRATCH/days" >"$OUT" 2>"$ERR" </dev/null &
pid=$!
COMMAND="${train[*]} --epochs 100000 -o $SCRATCH/days, interrupted"
until grep -q 'the training will take' "$ERR"; do
    kill -0 $pid 2>"$SCRATCH/null" || break
    sleep 0.02
done
kill -INT $pid
wait $pid
CHECKS=$((CHECKS + 1))
err_has '; a budget of ([0-9]+) min would make it .*; to set it, give --budget \1m$'

# Stopped by SIGINT in its second epoch or later, of many: saved, told how to go on; resumed to
# the same bits.
long=("${train[@]}" --epochs 15 --iterations 2 --validation 1)
expect 0 "${long[@]}" -o "$SCRATCH/straight" -q
"${long[@]}" -o "$SCRATCH/stopped" >"$OUT" 2>"$ERR" </dev/null &
pid=$!
COMMAND="${long[*]} -o $SCRATCH/stopped, interrupted"
until [ -s "$SCRATCH/stopped/log.jsonl" ]; do # a line per epoch
    kill -0 $pid 2>"$SCRATCH/null" || break
    sleep 0.02
done
kill -INT $pid
wait $pid
code=$?
CHECKS=$((CHECKS + 1))
[ $code -eq 9 ] || fail "a stopped training exits with $code"
err_has '^volt: stopped and saved after iteration [1-9][0-9]*; repeat the command with --resume'
[ "$(wc -l <"$SCRATCH/stopped/log.jsonl")" -lt 15 ] || fail "the run ended before it was stopped"
expect 0 "${long[@]}" -o "$SCRATCH/stopped" --resume -q
tensors "$SCRATCH/straight/checkpoint_latest.safetensors" >"$SCRATCH/tensors.a"
tensors "$SCRATCH/stopped/checkpoint_latest.safetensors" >"$SCRATCH/tensors.b"
exists "$SCRATCH/tensors.a"
expect 0 cmp "$SCRATCH/tensors.a" "$SCRATCH/tensors.b"

# A finished run is extended; the folds of another are trained in turn and taken up again.
cp -r "$run" "$SCRATCH/extended"
expect 0 "${train[@]}" --epochs 3 -o "$SCRATCH/extended" --resume --json
out_json run epochs finished
grep -q '"epochs":3' "$OUT" || fail "the run has not become longer"
err_has 'the run now takes 3 epochs instead of 2'
folds=$SCRATCH/folds
short=("${train[@]}" --epochs 1 --iterations 2 --validation 1)
expect 0 "${short[@]}" -o "$folds" --folds 0,3 --loss bce_dice --optimizer adam --lr 0.002 \
    --schedule constant --class-weights 1,2,2,2 --batch-dice yes --dropout 0.1 --foreground 0.5 --json -q
out_json run mean_dice folds
exists "$folds/fold_0/checkpoint_latest.safetensors"
exists "$folds/fold_3/log.jsonl"
exists "$folds/summary.json"
absent "$folds/fold_1"
expect 10 "${short[@]}" -o "$folds" --folds 0-1 -q
absent "$folds/fold_1"
expect 0 "${short[@]}" -o "$folds" --folds 0-1 --resume
out_has 'fold_0: 1 epoch in'
out_has 'fold_1: 1 epoch in'
expect 10 "$VOLT" train "$data" --work "$work" -o "$folds/fold_0" -q
err_one_line
# One fold beside several would hide them all from prediction, and a new fold goes by the recipe
# of the others, not by the command's defaults.
expect 10 "${short[@]}" -o "$folds" --fold 1 -q
err_has 'holds several folds'
expect 10 "${short[@]}" -o "$folds/fold_0" --folds 0 -q
err_has 'holds a single run'
expect 0 timeout 60 "$VOLT" train "$data" --work "$work" --threads 2 -o "$folds" --folds 1-2 --resume
err_has 'using the recipe of .*/folds/fold_0'
out_has '/fold_2: 1 epoch in'

# Another network's weights, its encoder frozen: the report, and tensors that did not move.
expect 0 "${short[@]}" -o "$SCRATCH/second" --init "$run" --init-mode strict --freeze 'encoder.*' \
    --lr-scale 'decoder.seg_layers.*=2'
err_has 'init: [0-9]+ of [0-9]+ parameters taken from .*, 0 in part, 0 of another shape, 0 absent'
err_has 'frozen parameters: [0-9]+ of [0-9]+ '
expect 2 "${short[@]}" -o "$SCRATCH/never" -q --init "$folds"
err_has 'name one of them'

# Mistakes show before anything is prepared.
mistake() {
    expect 2 "$VOLT" train "$SCRATCH/nowhere" -o "$SCRATCH/never" -q "$@"
    err_one_line
}
mistake --folds 0-1000
mistake --folds 4-0
mistake --folds ,
mistake --class-weights 1,x
mistake --lr-scale 'encoder.*'
mistake --freeze 'a,,b'
mistake --lr -1
mistake --loss focal
mistake --optimizer lion
expect 2 "${short[@]}" -o "$SCRATCH/never" -q --class-weights 1,2
err_has '2 class weights for a network with 4 outputs, background first'
expect 2 "${short[@]}" -o "$SCRATCH/never" -q --freeze 'encoder.nothing'
err_has "no parameter name matches 'encoder.nothing'"

# Regions: one output each, Dice per region; a softmax over what overlaps is refused.
mkdir -p "$SCRATCH/regions"
cp -r "$data/imagesTr" "$data/labelsTr" "$SCRATCH/regions"
sed -e '/"labels"/,/}/d' -e 's/^{/{"labels": {"background": 0, "whole": [1, 2, 3], "core": [2, 3], "rim": [3]}, "regions_class_order": [1, 2, 3],/' \
    "$data/dataset.json" >"$SCRATCH/regions/dataset.json"
regions=("$VOLT" train "$SCRATCH/regions" --work "$SCRATCH/regions-work" --precision fp32 --batch 2 \
    --epochs 1 --iterations 2 --validation 1 -q)
expect 2 "${regions[@]}" -o "$SCRATCH/never" --loss ce
err_has 'regions may overlap'
expect 0 "${regions[@]}" -o "$SCRATCH/regions-run"
grep -qE '"dice":\{"whole":[^,]*,"core":[^,]*,"rim":[^,]*\}' "$SCRATCH/regions-run/log.jsonl" ||
    fail "log.jsonl lacks the regions' Dice"

# Masks lie exactly where the scans lie, whatever their orientation and spacing.
scans=$SCRATCH/scans
mkdir -p "$scans"
for channel in 0000 0001 0002 0003; do
    expect 0 "$VOLT" convert "$data/imagesTr/brats_001_$channel.nii.gz" \
        "$scans/odd_$channel.nii.gz" --reorient PIR --spacing 8,9,11
done
expect 0 "$VOLT" predict "$run" "$data/imagesTr" "$scans" -o "$SCRATCH/masks" --no-mirror --json
out_json output cases seconds announced_bytes peak_bytes

# Progress of scans of several tiles: one line for all, and its time is that of the whole.
expect 0 "$VOLT" phantom brats "$SCRATCH/large" --cases 36 --size 128 --seed 6 -q
expect 0 "$VOLT" predict "$run" "$SCRATCH/large/imagesTr" -o "$SCRATCH/large-masks" --step 0.1 \
    --threads 1 --json
[ "$(grep -cE '^[0-9]+ [a-z]+ in [0-9.]+ s' "$ERR")" -eq 1 ] || fail "not one line of progress"
err_has '^36 cases in [0-9.]+ s'
told=$(sed -nE 's/^36 cases in ([0-9.]+) s.*/\1/p' "$ERR")
whole=$(sed -nE 's/.*"seconds":([0-9.]+).*/\1/p' "$OUT")
awk "BEGIN { exit !($told >= 0.9 * $whole - 0.2 && $told <= $whole + 0.2) }" ||
    fail "progress tells $told s of a run of $whole s"
for mask in "$data/imagesTr/brats_001_0000:brats_001" "$scans/odd_0000:odd"; do
    grid() { "$VOLT" info --header "$1" | sed -n '3,8p' | grep -v type; }
    [ "$(grid "${mask%%:*}.nii.gz")" = "$(grid "$SCRATCH/masks/${mask##*:}.nii.gz")" ] ||
        fail "${mask##*:}: the mask's grid is not the scan's"
done
no_leftovers "$SCRATCH/masks"

expect 10 "$VOLT" predict "$run" "$data/imagesTr/brats_001_0000.nii.gz" -q -o "$SCRATCH/never"
err_one_line
expect 4 "$VOLT" predict "$SCRATCH/nowhere" "$scans" -o "$SCRATCH/never"
err_one_line
printf 'not a checkpoint' >"$SCRATCH/bad.safetensors"
expect 5 "$VOLT" predict "$SCRATCH/bad.safetensors" "$scans" -o "$SCRATCH/never"
err_one_line
absent "$SCRATCH/never/odd.nii.gz"
done_testing
