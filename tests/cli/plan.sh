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

done_testing
