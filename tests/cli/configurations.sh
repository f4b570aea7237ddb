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
done_testing
