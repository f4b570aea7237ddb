#!/bin/bash
# Data sets in formats other than NIfTI go the whole way; masks come out in their own format, on
# the scans' own grids.
. "$3/tests/cli/common.inc"

if [ ! -x "$(dirname "$VOLT")/volt-itk" ]; then
    echo "skipped: volt-itk was not built"
    exit 77
fi
export -n VOLT_ITK 2>/dev/null
make_data 4 32
data=$SCRATCH/data
grid() { "$VOLT" info --header "$1" | sed -n '3,8p' | grep -v type; }

# copy ENDING: the data set in another format.
copy() {
    local set=$SCRATCH/set$1 folder file
    mkdir -p "$set/imagesTr" "$set/labelsTr"
    for folder in imagesTr labelsTr; do
        for file in "$data/$folder"/*.nii.gz; do
            expect 0 "$VOLT" convert "$file" "$set/$folder/$(basename "$file" .nii.gz)$1" -q
        done
    done
    sed 's/"file_ending": "[^"]*"/"file_ending": "'"$1"'"/' "$data/dataset.json" >"$set/dataset.json"
}

for ending in .mha .nrrd; do
    copy $ending
    expect 0 "$VOLT" check "$SCRATCH/set$ending" -q
done
set=$SCRATCH/set.nrrd
run=$SCRATCH/run
masks=$SCRATCH/masks
expect 0 "$VOLT" train "$set" -o "$run" -c 2d --epochs 1 --iterations 2 --validation 1 --batch 2 -q
expect 0 "$VOLT" predict "$run" "$set/imagesTr" -o "$masks" -q
for id in brats_001 brats_004; do
    exists "$masks/$id.nrrd"
    [ "$(grid "$set/imagesTr/${id}_0000.nrrd")" = "$(grid "$masks/$id.nrrd")" ] ||
        fail "the grid of $id's mask is not the scan's"
done
expect 0 "$VOLT" evaluate "$masks" "$set/labelsTr" -q
expect 0 "$VOLT" evaluate "$masks" "$data/labelsTr" -q # the truth in another format
expect 0 "$VOLT" snapshot "$set/imagesTr/brats_001_0003.nrrd" "$set/labelsTr/brats_001.nrrd" \
    -o "$SCRATCH/overlay.png" -q
expect 0 "$VOLT" info "$set/imagesTr/brats_001_0000.nrrd"
out_has 'format +NRRD'
expect 0 "$VOLT" predict "$run" "$SCRATCH/set.mha/imagesTr"/brats_001_*.mha -o "$SCRATCH/one" -q
cmp -s <("$VOLT" info "$SCRATCH/one/brats_001.nrrd" | tail -n +2) \
    <("$VOLT" info "$masks/brats_001.nrrd" | tail -n +2) ||
    fail "the mask of the same scan in another format differs"

# Averages have the format of the masks that they were predicted with.
expect 0 "$VOLT" predict "$run" "$set/imagesTr"/brats_001_*.nrrd -o "$SCRATCH/chosen" \
    --ending .nii.gz --save-probabilities -q
expect 0 "$VOLT" ensemble "$SCRATCH/chosen" "$SCRATCH/chosen" -o "$SCRATCH/mean" -q
exists "$SCRATCH/mean/brats_001.nii.gz"

# A format that does not say which side is left: every command does.
copy .gipl
gipl=$SCRATCH/set.gipl
expect 0 "$VOLT" check "$gipl"
out_has 'brats_001_0000.gipl: its orientation is unknown; LPS is assumed'
out_lacks 'brats_001_0001.gipl: its orientation'
expect 0 "$VOLT" dataset show "$gipl"
out_has '^orientation +unknown '
expect 0 "$VOLT" predict "$run" "$gipl/imagesTr"/brats_001_*.gipl -o "$SCRATCH/unknown"
err_has 'warning: .*brats_001_0000.gipl: its orientation is unknown; LPS is assumed'

# Without its helper the sentence says what is missing; other formats go on.
cp "$VOLT" "$SCRATCH/volt"
expect 6 env PATH=/nonexistent "$SCRATCH/volt" info "$set/imagesTr/brats_001_0000.nrrd"
err_one_line
err_has 'libinsighttoolkit5-dev'
expect 0 env PATH=/nonexistent "$SCRATCH/volt" info "$data/imagesTr/brats_001_0000.nii.gz"
no_leftovers "$SCRATCH"
done_testing
