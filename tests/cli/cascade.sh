#!/bin/bash
# Cascades end to end, of region data: the low resolution, what the second network learns from,
# prediction, validation by folds, the best of both, slices as the second stage.
. "$3/tests/cli/common.inc"

make_data 3
data=$SCRATCH/data work=$SCRATCH/work low=$SCRATCH/low fine=$SCRATCH/fine
previous=$work/3d_cascade_fullres_previous

# A plan small enough for a test: the planner's, with a coarser stage and few features.
expect 0 "$VOLT" plan "$data" --work "$work" --add 2p5d --slices 3 -q
sed -i -e 's/"3d_fullres": {/"3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},\
        "2p5d_cascade": {"inherits_from": "2p5d", "previous_stage": "3d_lowres"},\
        "3d_lowres": {"inherits_from": "3d_fullres", "data_identifier": "coarse", "spacing": [19, 17, 21], "next_stage": "3d_cascade_fullres"},\
        &/' -e '/"features_per_stage"/,/\]/s/[0-9][0-9]*/4/' "$work/plans.json"
short="--epochs 1 --iterations 2 --validation 1 --batch 2 --work $work -q"
predict() { expect "$1" "$VOLT" predict "${@:2}" --no-mirror -q; }

expect 2 "$VOLT" train "$data" -o "$fine" -c 3d_cascade_fullres $short
err_has '--previous'
expect 0 "$VOLT" train "$data" -o "$low" -c 3d_lowres --folds 0 $short
expect 0 "$VOLT" train "$data" -o "$fine" -c 3d_cascade_fullres --previous "$low" $short
err_has 'every network of 3d_lowres was trained on' # fold 0 segments its own case, and all others with a warning
[ "$(find "$previous" -name '*.voltcase' | wc -l)" -eq 3 ] || fail "not every case has a mask"
stamp=$(fingerprint "$previous")
expect 0 "$VOLT" preprocess "$data" -c 3d_cascade_fullres --previous "$low" --work "$work" -q
[ "$stamp" = "$(fingerprint "$previous")" ] || fail "masks were made anew"

# Another network where that of the previous stage belongs, or a cascade's where none is.
expect 10 "$VOLT" preprocess "$data" -c 3d_cascade_fullres --previous "$fine" --work "$work" -q
err_has '3d_lowres'
predict 10 "$fine" "$data/imagesTr" -o "$SCRATCH/none" --previous "$fine"
err_has '3d_lowres'
predict 2 "$low" "$data/imagesTr" -o "$SCRATCH/none" --previous "$low"
err_has 'but no network refines'
absent "$SCRATCH/none"

# Prediction: with the run of training, with the run named, with the masks of either.
predict 0 "$fine" "$data/imagesTr" -o "$SCRATCH/known"
predict 0 "$fine" "$data/imagesTr" -o "$SCRATCH/a" --previous "$low"
predict 0 "$fine" "$data/imagesTr" -o "$SCRATCH/b" --previous "$SCRATCH/a/previous_stage"
for f in "$SCRATCH"/a/*.nii.gz; do
    cmp -s "$f" "$SCRATCH/known/$(basename "$f")" || fail "$(basename "$f") differs"
    cmp -s "$f" "$SCRATCH/b/$(basename "$f")" || fail "$(basename "$f") differs"
done
predict 0 "$low" "$data/imagesTr" -o "$SCRATCH/first"
for f in "$SCRATCH"/first/*.nii.gz; do
    cmp -s "$f" "$SCRATCH/a/previous_stage/$(basename "$f")" || fail "$(basename "$f") differs"
done
predict 4 "$fine" "$data/imagesTr" -o "$SCRATCH/c" --previous "$SCRATCH/data"
err_has 'no mask of case'
mv "$low" "$SCRATCH/moved"
predict 2 "$fine" "$data/imagesTr" -o "$SCRATCH/c"
err_has "$low, no longer exists"
mv "$SCRATCH/moved" "$low"

# The validation at the end of a training sees the masks that the training saw.
expect 0 "$VOLT" train "$data" -o "$fine" -c 3d_cascade_fullres --previous "$low" $short --resume --validate
exists "$fine/validation/summary.json"
absent "$fine/validation/previous_stage"

# All folds: each case's mask is made by the network that did not learn from it.
expect 0 "$VOLT" train "$data" -o "$low" -c 3d_lowres --folds 1,2 $short
expect 0 "$VOLT" train "$data" -o "$SCRATCH/all" -c 3d_cascade_fullres --previous "$low" --folds 0-2 $short
! grep -q 'has not learned' "$ERR" || fail "a case was segmented by a network that knows it"
[ "$stamp" != "$(fingerprint "$previous")" ] || fail "masks were not made anew"
stamp=$(fingerprint "$previous")
predict 0 "$SCRATCH/all" --validation "$data" --work "$work" --save-probabilities
predict 0 "$low" --validation "$data" --work "$work" --save-probabilities
[ "$stamp" = "$(fingerprint "$previous")" ] || fail "validation made masks anew"
[ "$(ls "$SCRATCH"/all/fold_*/validation/*.npz | wc -l)" -eq 3 ] || fail "not every case was validated"
cp -r "$SCRATCH/all/fold_0/validation" "$SCRATCH/kept"
predict 0 "$SCRATCH/all" --validation "$data" --work "$work" --previous "$previous" --folds 0
cmp -s "$SCRATCH"/kept/*.nii.gz "$SCRATCH"/all/fold_0/validation/*.nii.gz ||
    fail "masks of training give another validation"
expect 0 "$VOLT" best "$low" "$SCRATCH/all" --truth "$data" -o "$SCRATCH/best" -q
find "$SCRATCH/best" -name '*.nii.gz' | grep -q . || fail "no ensemble of both stages"

# An ensemble of both stages in one call; a network without a previous stage beside a cascade.
predict 0 "$low" "$SCRATCH/all" "$data/imagesTr" -o "$SCRATCH/both" --folds 0
exists "$SCRATCH/both/previous_stage/brats_001.nii.gz"

# Slices with their masks as channels.
expect 0 "$VOLT" train "$data" -o "$SCRATCH/slices" -c 2p5d_cascade --previous "$low" $short
predict 0 "$SCRATCH/slices" "$data/imagesTr" -o "$SCRATCH/d"
[ "$(ls "$SCRATCH"/d/*.nii.gz | wc -l)" -eq 3 ] || fail "not every scan was segmented"
done_testing
