#!/bin/bash
# kill -9 at any moment of an import or of preprocessing leaves nothing that is taken for
# finished, and the same command then ends as if nothing had happened. (Training: train.sh and
# nets3d.train_recipes; its validation: validate.sh; prediction: best.sh.)
. "$3/tests/cli/common.inc"

# killed SECONDS COMMAND...: runs it for that long; whether it was still running then.
killed() {
    local wait=$1 pid
    shift
    "$@" >"$OUT" 2>"$ERR" </dev/null &
    pid=$!
    sleep "$wait"
    kill -9 $pid 2>"$SCRATCH/null"
    wait $pid 2>"$SCRATCH/null"
    [ $? -eq 137 ]
}
# contents FOLDER: names and contents of everything in it.
contents() {
    (cd "$1" && find . -type f -print0 | sort -z | xargs -0 cksum)
}

# A data set, copied: without its dataset.json it is none.
expect 0 "$VOLT" phantom brats "$SCRATCH/data" --cases 6 --size 40 --seed 5 -q
import=("$VOLT" import dataset "$SCRATCH/data" --copy --threads 1 -q)
expect 0 "${import[@]}" "$SCRATCH/whole"
contents "$SCRATCH/whole" >"$SCRATCH/whole.sums"
stopped=0
for wait in 0.01 0.02 0.04 0.06 0.08 0.1; do
    rm -rf "$SCRATCH/copy"
    killed $wait "${import[@]}" "$SCRATCH/copy"
    if [ ! -e "$SCRATCH/copy/dataset.json" ]; then
        stopped=$((stopped + 1))
        ! "$VOLT" check "$SCRATCH/copy" -q >"$OUT" 2>"$ERR" || fail "half a data set was taken for one"
        # What such a moment may leave besides.
        mkdir -p "$SCRATCH/copy/imagesTr"
        printf x >"$SCRATCH/copy/imagesTr/brats_001_0000.nii.gz.a1B2c3.tmp"
        printf x >"$SCRATCH/copy/dataset.json.a1B2c3.tmp"
        expect 0 "${import[@]}" "$SCRATCH/copy"
    fi
    contents "$SCRATCH/copy" >"$SCRATCH/copy.sums"
    expect 0 cmp "$SCRATCH/whole.sums" "$SCRATCH/copy.sums"
done
[ $stopped -gt 0 ] || fail "no import was killed before its end"

# A model: there is no folder of that name before it is whole.
model=$SOURCE/testdata/models/resampled/model
expect 0 "$VOLT" import model "$model" "$SCRATCH/model" -q
contents "$SCRATCH/model" >"$SCRATCH/model.sums"
stopped=0
for wait in 0.002 0.005 0.01 0.015 0.02 0.03; do
    rm -rf "$SCRATCH/run"
    killed $wait "$VOLT" import model "$model" "$SCRATCH/run" -q
    if [ ! -e "$SCRATCH/run" ]; then
        stopped=$((stopped + 1))
        expect 0 "$VOLT" import model "$model" "$SCRATCH/run" -q
    fi
    contents "$SCRATCH/run" >"$SCRATCH/run.sums"
    expect 0 cmp "$SCRATCH/model.sums" "$SCRATCH/run.sums"
done
[ $stopped -gt 0 ] || fail "no import of a model was killed before its end"
[ -z "$(find "$SCRATCH" -maxdepth 1 -name 'run.*' ! -name '*.sums')" ] ||
    fail "a half import was left behind"

# Fingerprint, plan and prepared cases.
prepare=("$VOLT" preprocess "$SCRATCH/data" --threads 1 -q)
expect 0 "${prepare[@]}" --work "$SCRATCH/work"
contents "$SCRATCH/work" >"$SCRATCH/work.sums"
stopped=0
for wait in 0.03 0.08 0.15 0.25 0.35; do
    killed $wait "${prepare[@]}" --work "$SCRATCH/again" && stopped=$((stopped + 1))
done
[ $stopped -gt 0 ] || fail "no preprocessing was killed before its end"
expect 0 "${prepare[@]}" --work "$SCRATCH/again"
find "$SCRATCH/again" -name '*.??????.tmp' -delete
contents "$SCRATCH/again" >"$SCRATCH/again.sums"
expect 0 cmp "$SCRATCH/work.sums" "$SCRATCH/again.sums"
done_testing
