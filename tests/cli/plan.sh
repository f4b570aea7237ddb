#!/bin/bash
# volt plan: planners, memory, configurations of our own, folds that come with the data set.
. "$3/tests/cli/common.inc"

make_data 3
data=$SCRATCH/data work=$SCRATCH/work

expect 0 "$VOLT" plan "$data" --work "$work" --planner resenc-m
out_has '^  3d_fullres \(residual encoder U-Net\)$'
grep -q '"experiment_planner_used": "nnUNetPlannerResEncM"' "$work/plans.json" ||
    fail "the plan does not name its planner"
expect 0 "$VOLT" plan "$data" --work "$work" --planner resenc-l
err_has 'exists and is used as it is'
expect 0 "$VOLT" plan "$data" --work "$work" --replan
out_has '^  3d_fullres \(plain U-Net\)$'
expect 0 "$VOLT" plan "$data" --work "$work" --replan --memory 0.2
for bad in 0 x -3 1e9; do
    expect 2 "$VOLT" plan "$data" --work "$work" --replan "--memory=$bad"
    err_one_line
done
expect 2 "$VOLT" plan "$data" --planner best
err_one_line

# Our own configurations are added, kept and replaced; the others stay as they are.
expect 0 "$VOLT" plan "$data" --work "$work" --add 2p5d,3d_whole --slices 5 --axis coronal
out_has '^  2p5d \(plain U-Net\) \(5 slices along y\)$'
out_has '^  3d_whole \(plain U-Net\) \(whole cases\)$'
expect 0 "$VOLT" plan "$data" --work "$work" --add 2p5d --axis z
out_has '^  2p5d \(plain U-Net\) \([357] slices along z\)$'
out_has '^  3d_whole'
expect 0 "$VOLT" plan "$data" --work "$work"
out_has '^  2p5d'
expect 2 "$VOLT" plan "$data" --work "$work" --add 4d
err_has "'4d'"
expect 2 "$VOLT" plan "$data" --work "$work" --add 2p5d --slices 4
err_has '4 slices'
expect 2 "$VOLT" plan "$data" --work "$work" --slices 3
err_has '--add 2p5d'

# Asked for by name they need not be planned before.
expect 0 "$VOLT" preprocess "$data" --work "$SCRATCH/work2" -c 2p5d
out_has '3 preprocessed'
grep -q '"slices"' "$SCRATCH/work2/plans.json" || fail "2p5d is not in the plan"


# Transfer: the plan of a run on other data, whose weights fit.
expect 0 "$VOLT" train "$data" -o "$SCRATCH/run" --work "$work" -c 3d_fullres --recipe fast \
    --epochs 1 --iterations 1 --validation 1 -q
expect 0 "$VOLT" phantom brats "$SCRATCH/other" --cases 5 --size 24 --seed 9 -q
sed -i 's/"enhancing tumor": 3/"ring": 3/' "$SCRATCH/other/dataset.json"
expect 0 "$VOLT" plan "$SCRATCH/other" --like "$SCRATCH/run"
cp "$SCRATCH/other/volt/plans.json" "$SCRATCH/taken.json"
for key in patch_size spacing normalization_schemes features_per_stage percentile_99_5; do
    expect 0 diff <(grep -A4 "\"$key\"" "$SCRATCH/run/plans.json") \
        <(grep -A4 "\"$key\"" "$SCRATCH/taken.json")
done
expect 0 "$VOLT" plan "$SCRATCH/other" --like "$SCRATCH/run" -q # again: the same plan
expect 0 cmp "$SCRATCH/other/volt/plans.json" "$SCRATCH/taken.json"
expect 0 "$VOLT" train "$SCRATCH/other" -o "$SCRATCH/moved" -c 3d_fullres --init "$SCRATCH/run" \
    --init-mode strict --recipe fast --epochs 1 --iterations 1 --validation 1 -q
expect 0 "$VOLT" plan "$SCRATCH/other" --work "$SCRATCH/own" -q
expect 2 "$VOLT" plan "$SCRATCH/other" --work "$SCRATCH/own" --like "$SCRATCH/run" -q
err_has 'exists and is another plan'
expect 0 "$VOLT" plan "$SCRATCH/other" --work "$SCRATCH/own" --like "$SCRATCH/run" --replan -q
expect 2 "$VOLT" plan "$SCRATCH/other" --like "$SCRATCH/run" --spacing 1,1,1
err_is 'volt: --like takes the plan of a run as it is; drop --spacing'
expect 0 "$VOLT" phantom liver "$SCRATCH/ct" --cases 5 --size 24 -q
expect 2 "$VOLT" plan "$SCRATCH/ct" --like "$SCRATCH/run" -q
err_is "volt: the network of $SCRATCH/run takes 4 channels, but phantom_liver has 1: its plan does not fit"
absent "$SCRATCH/ct/volt/plans.json"
expect 4 "$VOLT" plan "$SCRATCH/ct" --like "$SCRATCH/nowhere" -q
err_one_line
done_testing
