#!/bin/bash
# A cascade end to end: the low resolution, their masks, the second network, prediction.
. "$3/tests/cli/common.inc"

make_data 3
data=$SCRATCH/data work=$SCRATCH/work low=$SCRATCH/low fine=$SCRATCH/fine

# A plan small enough for a test: the planner's, with a coarser stage and few features.
expect 0 "$VOLT" plan "$data" --work "$work" -q
sed -i -e 's/"3d_fullres": {/"3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},\
        "3d_lowres": {"inherits_from": "3d_fullres", "data_identifier": "coarse", "spacing": [2.2, 2.1, 2.3], "next_stage": "3d_cascade_fullres"},\
        &/' -e '/"features_per_stage"/,/\]/s/[0-9][0-9]*/4/' "$work/plans.json"
short="--epochs 1 --iterations 2 --validation 1 --batch 2 --work $work -q"

expect 2 "$VOLT" train "$data" -o "$fine" -c 3d_cascade_fullres $short
err_has '--previous'
expect 0 "$VOLT" train "$data" -o "$low" -c 3d_lowres --folds 0 $short
expect 0 "$VOLT" train "$data" -o "$fine" -c 3d_cascade_fullres --previous "$low" $short
masks=$(find "$work" -maxdepth 1 -name '3d_lowres_masks_*')
[ "$(find "$masks" -name '*.nii.gz' | wc -l)" -eq 3 ] || fail "not every case has a mask"
err_has 'has not learned' # fold 0 segments its own case, and all others with a warning
[ "$(find "$work/3d_cascade_fullres_previous" -name '*.voltcase' | wc -l)" -eq 3 ] ||
    fail "not every mask was prepared"
stamp=$(fingerprint "$work/3d_cascade_fullres_previous")
expect 0 "$VOLT" preprocess "$data" -c 3d_cascade_fullres --previous "$low" --work "$work" -q
[ "$stamp" = "$(fingerprint "$work/3d_cascade_fullres_previous")" ] ||
    fail "masks were made or prepared anew"

# Another network where that of the previous stage belongs.
expect 10 "$VOLT" preprocess "$data" -c 3d_cascade_fullres --previous "$fine" --work "$work" -q
err_has '3d_lowres'

# Prediction: with the run of the first stage, and with its masks.
expect 2 "$VOLT" predict "$fine" "$data/imagesTr" -o "$SCRATCH/none" --no-mirror -q
err_has '--previous'
expect 0 "$VOLT" predict "$fine" "$data/imagesTr" -o "$SCRATCH/a" --previous "$low" --no-mirror -q
mkdir "$SCRATCH/folds" && cp -r "$fine" "$SCRATCH/folds/fold_0"
expect 2 "$VOLT" predict "$SCRATCH/folds" --validation "$data" --work "$work" --previous "$low" -q
err_has 'have learned from these cases'
expect 0 "$VOLT" predict "$SCRATCH/folds" --validation "$data" --work "$work" --previous "$masks" \
    --no-mirror -q
expect 0 "$VOLT" predict "$fine" "$data/imagesTr" -o "$SCRATCH/b" \
    --previous "$SCRATCH/a/previous_stage" --no-mirror -q
for f in "$SCRATCH"/a/*.nii.gz; do
    cmp -s "$f" "$SCRATCH/b/$(basename "$f")" || fail "$(basename "$f") differs"
done
expect 4 "$VOLT" predict "$fine" "$data/imagesTr" -o "$SCRATCH/c" --previous "$SCRATCH/data" --no-mirror -q
err_has 'no mask of case'

# The validation at the end of a training sees the masks that the training saw.
expect 0 "$VOLT" train "$data" -o "$fine" -c 3d_cascade_fullres --previous "$low" $short --resume --validate
exists "$fine/validation/summary.json"
done_testing
