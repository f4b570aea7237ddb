#!/bin/bash
# volt phantom: a whole data set, the same every time, never over an old one.
. "$3/tests/cli/common.inc"

expect 0 "$VOLT" phantom brats "$SCRATCH/a" --cases 2 --size 24 --seed 7 --threads 1
out_has '2 brats cases'
for channel in 0000 0001 0002 0003; do
    exists "$SCRATCH/a/imagesTr/brats_002_$channel.nii.gz"
done
exists "$SCRATCH/a/labelsTr/brats_001.nii.gz"
exists "$SCRATCH/a/dataset.json"
no_leftovers "$SCRATCH/a"
expect 0 "$VOLT" phantom brats "$SCRATCH/b" --cases 2 --size 24 --seed 7 --threads 2 -q
out_is ''
err_is ''
expect 0 diff -r "$SCRATCH/a" "$SCRATCH/b"
expect 0 "$VOLT" phantom brats "$SCRATCH/c" --cases 1 --size 24 --seed 8 -q
cmp -s "$SCRATCH/a/labelsTr/brats_001.nii.gz" "$SCRATCH/c/labelsTr/brats_001.nii.gz" &&
    fail "another seed gave the same labels"
expect 0 "$VOLT" check "$SCRATCH/a"
out_has '2 cases, 0 errors'

expect 0 "$VOLT" phantom liver "$SCRATCH/liver" --cases 1 --size 32 -q
expect 0 "$VOLT" info "$SCRATCH/liver/imagesTr/liver_001_0000.nii.gz"
out_has 'type +int16'

expect 10 "$VOLT" phantom brats "$SCRATCH/a" --cases 1
err_is "volt: $SCRATCH/a is not empty: it holds dataset.json; give an empty or new folder"
expect 2 "$VOLT" phantom lung "$SCRATCH/d"
err_one_line
absent "$SCRATCH/d"
expect 2 "$VOLT" phantom brats "$SCRATCH/d" --size 15
err_is "volt: --size: '15' is not an integer from 16 to 1024"
absent "$SCRATCH/d"
expect 4 "$VOLT" phantom brats /proc/volt-cannot-be-made --cases 1
err_one_line

# Other layouts: each is recognized, has the same voxels, and can be trained on.
for row in brats:brats liver:lits liver:grey brats:grey liver:png brats:png; do
    kind=${row%:*} layout=${row#*:}
    data=$SCRATCH/$kind-$layout
    expect 0 "$VOLT" phantom "$kind" "$data" --layout "$layout" --cases 3 --size 32 --seed 7
    out_has "3 $kind cases"
    expect 0 "$VOLT" check "$data"
    out_has '3 cases, 0 errors'
    config=3d_fullres
    [ "$layout" = png ] && config=2d
    expect 0 "$VOLT" train "$data" -o "$SCRATCH/run-$kind-$layout" -c $config --fold all --recipe fast \
        --epochs 1 --iterations 1 --validation 1 -q
    no_leftovers "$data"
done
exists "$SCRATCH/brats-brats/BraTS20_Training_003/BraTS20_Training_003_t1ce.nii.gz"
exists "$SCRATCH/brats-brats/BraTS20_Training_001/BraTS20_Training_001_seg.nii.gz"
expect 0 "$VOLT" info "$SCRATCH/brats-brats/BraTS20_Training_001/BraTS20_Training_001_seg.nii.gz"
out_has 'values +0 to 4'
exists "$SCRATCH/liver-lits/volume-0.nii"
exists "$SCRATCH/liver-lits/segmentation-2.nii"
exists "$SCRATCH/brats-png/imagesTr/brats_002_0003.png"
expect 0 "$VOLT" info "$SCRATCH/liver-grey/labelsTr/liver_001.nii.gz"
out_has '230'
expect 0 "$VOLT" dataset show "$SCRATCH/brats-brats"
out_has 'BraTS 2018'
expect 2 "$VOLT" phantom liver "$SCRATCH/d" --layout brats
err_is 'volt: --layout brats holds MR of brains, not liver'
expect 2 "$VOLT" phantom brats "$SCRATCH/d" --layout lits
err_is 'volt: --layout lits holds CT of livers, not brats'
expect 2 "$VOLT" phantom brats "$SCRATCH/d" --layout grey --brats-labels
err_one_line
expect 2 "$VOLT" phantom brats "$SCRATCH/d" --layout dicom
err_one_line
absent "$SCRATCH/d"

# Masks come out in the format of the label files, also in layouts without dataset.json.
fast=(--epochs 1 --iterations 1 --validation 1 --recipe fast -q)
expect 0 "$VOLT" train "$SCRATCH/liver-lits" -o "$SCRATCH/run" --work "$SCRATCH/work" "${fast[@]}"
expect 0 "$VOLT" predict "$SCRATCH/run" "$SCRATCH/liver-lits" -o "$SCRATCH/masks" --no-mirror -q
exists "$SCRATCH/masks/volume-0.nii"
expect 0 "$VOLT" evaluate "$SCRATCH/masks" "$SCRATCH/liver-lits" -q
mkdir "$SCRATCH/photos" "$SCRATCH/drawn"
for i in 1 2 3; do
    expect 0 "$VOLT" convert "$SCRATCH/brats-png/imagesTr/brats_00${i}_0000.png" "$SCRATCH/photos/$i.png" -q
    expect 0 "$VOLT" convert "$SCRATCH/brats-png/labelsTr/brats_00$i.png" "$SCRATCH/drawn/$i.bmp" --labels -q
done
expect 0 "$VOLT" train --images "$SCRATCH/photos" --labels "$SCRATCH/drawn" -o "$SCRATCH/drawings" --work "$SCRATCH/work2" "${fast[@]}"
expect 0 "$VOLT" predict "$SCRATCH/drawings" "$SCRATCH/photos/1.png" -o "$SCRATCH/out" --no-mirror -q
exists "$SCRATCH/out/1.bmp"
done_testing
