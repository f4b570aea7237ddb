#!/bin/bash
# volt plot: curves of one and of several runs, to PNG, SVG and the terminal.
. "$3/tests/cli/common.inc"

# log NAME EPOCHS: a run with a log.
log() {
    mkdir -p "$SCRATCH/$1"
    for ((e = 0; e < $2; e++)); do
        echo "{\"epoch\":$e,\"iterations\":$((10 * e)),\"train_loss\":0.$((99 - e)),\"validation_loss\":0.$((98 - e))," \
            "\"lr\":0.01,\"mean_dice\":0.$((10 + e)),\"dice\":{\"liver\":0.$((20 + e)),\"tumour\":null},\"seconds\":60}"
    done >"$SCRATCH/$1/log.jsonl"
}
log a 30
log b 20
log folds/fold_0 10
log folds/fold_1 10

expect 0 "$VOLT" plot "$SCRATCH/a" -o "$SCRATCH/a.png"
out_is "$SCRATCH/a.png: 4 panels, 1 run"
[ "$(head -c 4 "$SCRATCH/a.png" | tail -c 3)" = PNG ] || fail "a.png is no PNG"
expect 0 "$VOLT" plot "$SCRATCH/a/" "$SCRATCH/b" -o "$SCRATCH/ab.svg" --x hours --title 'a & b' --size 1200,900
out_is "$SCRATCH/ab.svg: 5 panels, 2 runs"
grep -q '>a &amp; b</text>' "$SCRATCH/ab.svg" || fail "no title in the SVG"
grep -q '>b, validation</text>' "$SCRATCH/ab.svg" || fail "no legend in the SVG"
grep -q 'viewBox="0 0 1200 900"' "$SCRATCH/ab.svg" || fail "the SVG has another size"
expect 0 "$VOLT" plot "$SCRATCH/folds" --ascii
out_has 'folds/fold_1, validation'
out_has '^ +epoch$'
err_is ''
expect 0 "$VOLT" plot "$SCRATCH/a" "$SCRATCH/folds" --json
out_json runs
out_has '"run":"folds/fold_0","epochs":10'
out_has '"best_mean_dice":0.39,"best_mean_dice_epoch":30'

# Runs whose folders have the same name are told apart by their paths.
log x/run 3
log y/run 3
expect 0 "$VOLT" plot "$SCRATCH/x/run/" "$SCRATCH/y/run"
out_has "$SCRATCH/x/run, training"
out_has "$SCRATCH/y/run, training"

# One epoch, values that never change, values that are missing, names that are markup.
mkdir -p "$SCRATCH/one" "$SCRATCH/same" "$SCRATCH/gaps"
echo '{"epoch":0,"train_loss":1,"lr":0.01,"mean_dice":0.5,"dice":{"a<b>&\u0007":0.5}}' >"$SCRATCH/one/log.jsonl"
for e in 0 1 2 3; do
    echo "{\"epoch\":$e,\"train_loss\":0.5,\"validation_loss\":0.5,\"lr\":0.001,\"mean_dice\":1,\"dice\":{\"a\":1,\"b\":1}}"
done >"$SCRATCH/same/log.jsonl"
for e in 0 1 2; do
    echo "{\"epoch\":$e,\"train_loss\":0.5,\"mean_dice\":0.5,\"dice\":{\"a\":0.5,\"never\":null}}"
done >"$SCRATCH/gaps/log.jsonl"
for run in one same gaps; do
    expect 0 "$VOLT" plot "$SCRATCH/$run" -o "$SCRATCH/$run.svg"
    expect 0 "$VOLT" plot "$SCRATCH/$run" -o "$SCRATCH/$run.png"
    expect 0 "$VOLT" plot "$SCRATCH/$run"
done
grep -q '>1</text>' "$SCRATCH/one.svg" || fail "no tick at epoch 1"
grep -qE '>(0\.5|1\.5|2)</text>.*epoch' "$SCRATCH/one.svg" && fail "a tick beside the only epoch"
grep -q '>a&lt;b&gt;&amp;?</text>' "$SCRATCH/one.svg" || fail "a name is not escaped"
grep -q 'stroke-dashoffset="-' "$SCRATCH/same.svg" || fail "equal curves hide each other"
grep -qE '>1\.[1-9]' "$SCRATCH/same.svg" && fail "the axis of Dice goes beyond 1"
grep -q '>never (no values)</text>' "$SCRATCH/gaps.svg" || fail "a class without values is not named"

expect 2 "$VOLT" plot "$SCRATCH/a" -o "$SCRATCH/a.pdf"
err_is "volt: $SCRATCH/a.pdf: volt plot writes files that end in .svg, .png, .jpg or .jpeg"
expect 2 "$VOLT" plot "$SCRATCH/a" -o "$SCRATCH/small.png" --size 100,100
err_has 'too few'
absent "$SCRATCH/small.png"
expect 4 "$VOLT" plot "$SCRATCH/none"
err_one_line
mkdir "$SCRATCH/early"
: >"$SCRATCH/early/checkpoint_latest.safetensors"
expect 10 "$VOLT" plot "$SCRATCH/early"
err_is "volt: $SCRATCH/early has no log.jsonl: it was imported, or no epoch has ended yet"
echo nonsense >>"$SCRATCH/b/log.jsonl"
expect 5 "$VOLT" plot "$SCRATCH/b"
err_has 'log.jsonl line 21'
done_testing
