#!/bin/bash
# From folds to the best: predictions with ensembles, validation, averaging, post-processing.
. "$3/tests/cli/common.inc"

make_data 6 24
data=$SCRATCH/data work=$SCRATCH/work
expect 0 "$VOLT" train "$data" --work "$work" --threads 2 --precision fp32 --batch 2 --epochs 1 \
    --iterations 6 --validation 1 --folds 0-1 -o "$SCRATCH/run3d" -q
for fold in 0 1; do
    expect 0 "$VOLT" train "$data" --work "$work" --threads 2 --precision fp32 --batch 2 --epochs 1 \
        --iterations 3 --validation 1 --fold $fold -c 2d -o "$SCRATCH/run2d/fold_$fold" -q
done

# A folder of folds is an ensemble; so are several runs.
fast=(--no-mirror --precision fp32 --threads 2)
expect 0 "$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/folds" "${fast[@]}"
err_has 'an ensemble of 2 networks'
expect 0 "$VOLT" predict "$SCRATCH/run3d" --folds 1 "$data/imagesTr" -o "$SCRATCH/fold" "${fast[@]}"
! grep -q ensemble "$ERR" || fail "--folds 1 is no ensemble"
expect 0 "$VOLT" predict "$SCRATCH/run3d" "$SCRATCH/run2d" "$data/imagesTr" -o "$SCRATCH/both" \
    "${fast[@]}" --separate-regions --probability-nifti --json
out_json cases skipped
err_has 'an ensemble of 4 networks'
exists "$SCRATCH/both/probabilities/brats_001_0000.nii.gz"
expect 0 "$VOLT" predict "$SCRATCH/run3d" "$SCRATCH/run2d" "$data/imagesTr" -o "$SCRATCH/both" \
    "${fast[@]}" --skip-existing
out_has '^0 masks'
expect 2 "$VOLT" predict "$SCRATCH/run3d/fold_0" --folds 1 "$data/imagesTr" -o "$SCRATCH/never"
err_has 'it has no folds 1'
expect 4 "$VOLT" predict "$SCRATCH/run3d" --folds 0,7 "$data/imagesTr" -o "$SCRATCH/never"
err_one_line
expect 2 "$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/never" --step 0.5 --overlap 0.5
expect 2 "$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/never" --roi 0,99,0,1,0,1 -q
err_has 'region of interest exceeds'
expect 0 "$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/other" "${fast[@]}" \
    --tiles monai --overlap 0.25 --blend constant --roi 2,14,0,24,3,9 --save-probabilities \
    --probability-nifti -q
exists "$SCRATCH/other/brats_001.npz"
exists "$SCRATCH/other/probabilities/brats_001_0000.nii.gz"
expect 0 "$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/whole" "${fast[@]}" --whole -q

# Killed in the midst: what is there is whole, and --skip-existing does the rest.
started() { [ -d "$SCRATCH/killed" ]; }
written() { count "$SCRATCH"/killed/*.nii.gz && [ $COUNT -ge $wanted ]; }
finished() { count "$SCRATCH"/killed/*.nii.gz && [ $COUNT -eq 6 ]; }
reset() { rm -rf "$SCRATCH/killed"; }
slow=("$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/killed" --threads 1 -q --step 0.2)
wanted=1
kill_between started written reset "${slow[@]}"
for wanted in 1 3; do
    kill_between written finished reset "${slow[@]}"
    for mask in "$SCRATCH"/killed/*.nii.gz; do
        expect 0 "$VOLT" info "$mask"
    done
done
expect 0 "$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/killed" --skip-existing -q \
    "${fast[@]}"
[ "$(ls "$SCRATCH"/killed/*.nii.gz | wc -l)" -eq 6 ] || fail "not all cases are there"

# Machines share the cases: none is left out, none done twice; a machine may get none.
for part in 1/4 2/4 3/4 4/4; do
    expect 0 "$VOLT" predict "$SCRATCH/run3d/fold_0" "$data/imagesTr" -o "$SCRATCH/parts" "${fast[@]}" \
        --part $part --json -q
    out_json cases
    cat "$OUT" >>"$SCRATCH/parts.json"
done
[ "$(ls "$SCRATCH"/parts/*.nii.gz | wc -l)" -eq 6 ] || fail "parts leave cases out"
[ "$(grep -oE '"cases": ?[0-9]+' "$SCRATCH/parts.json" | grep -oE '[0-9]+' | tr '\n' ' ')" = "2 2 1 1 " ] ||
    fail "parts are not even"
expect 0 "$VOLT" predict "$SCRATCH/run3d/fold_0" "$data/imagesTr" -o "$SCRATCH/parts" "${fast[@]}" --part 7/7
out_has '^0 masks'
for part in 0/4 5/4 1 1/4x -1/2; do
    expect 2 "$VOLT" predict "$SCRATCH/run3d/fold_0" "$data/imagesTr" -o "$SCRATCH/never" --part=$part
    err_has 'I from 1 to N'
done

# Where many passes are needed their time is told before.
expect 0 "$VOLT" predict "$SCRATCH/run3d" "$data/imagesTr" -o "$SCRATCH/timed" "${fast[@]}" --step 0.2
err_has '^time: about [0-9]+ s in the network, [0-9]+ passes'

# Validation predictions of the folds, and what is best.
for run in run3d run2d; do
    expect 10 "$VOLT" best "$SCRATCH/$run" --truth "$data" -o "$SCRATCH/never"
    expect 0 "$VOLT" predict "$SCRATCH/$run" --validation "$data" --work "$work" -q "${fast[@]}" \
        --save-probabilities --folds 0-1
done
[ "$(ls "$SCRATCH"/run3d/fold_*/validation/*.npz | wc -l)" -ge 2 ] || fail "no validation"
expect 0 "$VOLT" best "$SCRATCH/run3d" "$SCRATCH/run2d" --truth "$data" -o "$SCRATCH/best" --json -q
out_json candidates best dice postprocessed
exists "$SCRATCH/best/best.json"
expect 0 "$VOLT" best "$SCRATCH/run3d/" --truth "$data/" -o "$SCRATCH/alone/"
exists "$SCRATCH/alone/run3d/summary.json"
expect 0 "$VOLT" best "$SCRATCH/run3d/" --truth "$data/labelsTr/" --folds 0-1 -o "$SCRATCH/two" -q
out_has '^predict with it'

# By hand.
expect 0 "$VOLT" ensemble "$SCRATCH/run3d/fold_0/validation" "$SCRATCH/run2d/fold_0/validation" \
    -o "$SCRATCH/mean" --save-probabilities --json
out_json output cases announced_bytes peak_bytes
err_has '^memory: [0-9]+ MiB at most'
expect 0 "$VOLT" ensemble "$SCRATCH/run3d/fold_0/validation" "$SCRATCH/run2d/fold_0/validation" \
    -o "$SCRATCH/other" --ending .nii -q
for file in "$SCRATCH"/run3d/fold_0/validation/*.npz; do exists "$SCRATCH/other/$(basename "$file" .npz).nii"; done
# The mean never replaces what it is the mean of.
expect 10 "$VOLT" ensemble "$SCRATCH/mean" "$SCRATCH/run3d/fold_0/validation" -o "$SCRATCH/best/../mean/" -q
err_has 'holds predictions to be averaged'
expect 2 "$VOLT" ensemble "$SCRATCH/run3d/fold_0/validation" "$SCRATCH/run2d/fold_0/validation" \
    -o "$SCRATCH/never" --ending .jpg -q
err_has "masks cannot be written as '.jpg'"
expect 10 "$VOLT" ensemble "$SCRATCH/run3d/fold_0/validation" "$SCRATCH/run2d/fold_1/validation" \
    -o "$SCRATCH/never"
err_one_line
expect 0 "$VOLT" postprocess find "$SCRATCH/mean" "$data/labelsTr" --json
out_json cases before after trials
expect 0 "$VOLT" postprocess apply "$SCRATCH/mean" --steps "$SCRATCH/mean/postprocessing.json" \
    -o "$SCRATCH/final"
out_has 'masks in'
expect 2 "$VOLT" postprocess apply "$SCRATCH/mean" -o "$SCRATCH/final"
no_leftovers "$SCRATCH/best"
done_testing
