#!/bin/bash
# volt augment: samples of a scan and of a prepared case, on their grids, and a picture.
. "$3/tests/cli/common.inc"

make_data 2 32
scan=$SCRATCH/data/imagesTr/brats_001
truth=$SCRATCH/data/labelsTr/brats_001.nii.gz
look=$SCRATCH/look

is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$1 is no PNG"; }

expect 0 "$VOLT" augment "${scan}"_000[0-3].nii.gz --labels "$truth" -o "$look" --n 5 --patch 16,20,24
out_has '^sample 5: '
out_has '5 samples and samples.png$'
is_png "$look/samples.png"
[ "$(find "$look" -type f | wc -l)" -eq 26 ] || fail "not 5 x (4 channels + labels) + 1 files"
expect 0 "$VOLT" info --header "$look/sample_5_0003.nii.gz"
out_has '24 x 20 x 16'
expect 0 "$VOLT" info "$look/sample_5.nii.gz"
# The same seed gives the same samples, another one others.
expect 0 "$VOLT" augment "${scan}"_000[0-3].nii.gz --labels "$truth" -o "$SCRATCH/again" --n 5 \
    --patch 16,20,24 --threads 1 -q
out_is ''
for file in sample_1_0000 sample_5_0003 sample_3; do
    expect 0 "$VOLT" convert "$look/$file.nii.gz" "$SCRATCH/a.nii" -q
    expect 0 "$VOLT" convert "$SCRATCH/again/$file.nii.gz" "$SCRATCH/b.nii" -q
    expect 0 cmp "$SCRATCH/a.nii" "$SCRATCH/b.nii"
done
expect 0 cmp "$look/samples.png" "$SCRATCH/again/samples.png"
expect 0 "$VOLT" augment "${scan}"_000[0-3].nii.gz --labels "$truth" -o "$SCRATCH/other" --n 5 \
    --patch 16,20,24 --seed 1 --json
out_json folder samples
expect 1 cmp "$look/samples.png" "$SCRATCH/other/samples.png"
# A scan without labels; slices; a prepared case.
expect 0 "$VOLT" augment "${scan}_0001.nii.gz" -o "$SCRATCH/plain" --n 2 --size 64
expect 0 "$VOLT" augment "${scan}_0001.nii.gz" --labels "$truth" -o "$SCRATCH/flat" --n 3 --2d
expect 0 "$VOLT" info --header "$SCRATCH/flat/sample_3.nii.gz"
out_has ' x 1$| x 1[^0-9]'
expect 0 "$VOLT" preprocess "$SCRATCH/data" -c 2d -q
expect 0 "$VOLT" augment "$SCRATCH/data/volt/nnUNetPlans_2d/brats_002.voltcase" -o "$SCRATCH/case" \
    --patch 24,24 --n 2 --channel 3
is_png "$SCRATCH/case/samples.png"
no_leftovers "$SCRATCH"

expect 2 "$VOLT" augment "${scan}_0001.nii.gz"
err_is 'volt: volt augment needs an output: -o PATH'
expect 2 "$VOLT" augment "${scan}_0001.nii.gz" -o "$SCRATCH/no" --channel 1
err_one_line
expect 2 "$VOLT" augment "$SCRATCH/data/volt/nnUNetPlans_2d/brats_002.voltcase" "$truth" -o "$SCRATCH/no"
err_has 'give no other file'
expect 4 "$VOLT" augment "$SCRATCH/nowhere.nii.gz" -o "$SCRATCH/no"
err_one_line
printf 'not a case' >"$SCRATCH/bad.voltcase"
expect 5 "$VOLT" augment "$SCRATCH/bad.voltcase" -o "$SCRATCH/no"
err_one_line
absent "$SCRATCH/no"
done_testing
