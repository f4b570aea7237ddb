#!/bin/bash
# Every configuration goes the whole way: plan, prepare, train, predict, on the scans' own grids.
. "$3/tests/cli/common.inc"

make_data 4 32
data=$SCRATCH/data
grid() { "$VOLT" info --header "$1" | sed -n '3,8p' | grep -v type; }

# go CONFIGURATION NAME: a short training and masks of two scans.
go() {
    local run=$SCRATCH/run_$2 masks=$SCRATCH/masks_$2
    expect 0 "$VOLT" train "$data" -c "$1" -o "$run" --epochs 1 --iterations 3 --validation 1 \
        --batch 2 --json
    out_json run iterations peak_bytes announced_bytes
    expect 0 "$VOLT" predict "$run" "$data"/imagesTr/brats_00[12]_000*.nii.gz -o "$masks" --json
    out_json output cases announced_bytes peak_bytes
    for id in brats_001 brats_002; do
        [ "$(grid "$data/imagesTr/${id}_0000.nii.gz")" = "$(grid "$masks/$id.nii.gz")" ] ||
            fail "$2: the grid of $id's mask is not the scan's"
    done
    expect 0 "$VOLT" evaluate "$masks" "$data/labelsTr" -q
    no_leftovers "$run"
}

go 2d 2d
go 2p5d axial
for plane in coronal sagittal; do
    expect 0 "$VOLT" plan "$data" --add 2p5d --slices 3 --axis "$plane" -q
    go 2p5d "$plane"
done
go 3d_whole whole

# VOLT's own configurations learn: the Dice of cases left out rises far above that of a network
# that has seen one batch (about 0.05), in seconds, with few features.
expect 0 "$VOLT" phantom brats "$SCRATCH/eight" --cases 8 --size 32 --seed 5 -q
expect 0 "$VOLT" plan "$SCRATCH/eight" --add 2p5d -q
expect 0 "$VOLT" plan "$SCRATCH/eight" --add 3d_whole -q
plans=$(find "$SCRATCH/eight" -name plans.json)
sed -i '/"features_per_stage"/,/\]/s/[0-9][0-9]*/8/' "$plans"

# dice_after ITERATIONS CONFIGURATION BATCH: of the validation cases, as summary.json has it.
dice_after() {
    local run=$SCRATCH/learns_$2_$1
    expect 0 "$VOLT" train "$SCRATCH/eight" -c "$2" -o "$run" --batch "$3" --epochs 1 --iterations "$1" \
        --validation 1 --optimizer adamw --lr 0.005 --no-augment --mirror no --precision fp32 \
        --threads 2 --validate -q
    exists "$run/validation/summary.json"
    dice=$(sed -nE '/"foreground_mean"/,/\}/s/.*"Dice": ([0-9.e-]+),.*/\1/p' "$run/validation/summary.json")
}
for what in "3d_whole 2 0.4" "2p5d 6 0.3"; do
    read -r configuration batch least <<<"$what"
    dice_after 1 "$configuration" "$batch"
    before=$dice
    dice_after 120 "$configuration" "$batch"
    echo "$configuration: Dice $before -> $dice"
    awk "BEGIN { exit !($before < 0.15 && $dice > $least) }" ||
        fail "$configuration: Dice $before before and $dice after training"
done
done_testing
