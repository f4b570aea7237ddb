#!/bin/bash
# volt snapshot: a PNG of the size it tells, or nothing.
. "$3/tests/cli/common.inc"

make_data 1
scan=$SCRATCH/data/imagesTr/brats_001_0003.nii.gz
truth=$SCRATCH/data/labelsTr/brats_001.nii.gz
png=$SCRATCH/x.png

is_png() { [ "$(head -c 8 "$1" | od -An -tx1 | tr -d ' ')" = 89504e470d0a1a0a ] || fail "$1 is no PNG"; }

expect 0 "$VOLT" snapshot "$scan" "$truth" --labels "$SCRATCH/data/dataset.json" -o "$png"
out_has "^$png: [0-9]+ x [0-9]+ pixels$"
is_png "$png"
cp "$png" "$SCRATCH/again.png"
expect 0 "$VOLT" snapshot "$scan" "$truth" --labels "$SCRATCH/data/dataset.json" -o "$png" \
    --threads 1 -q
out_is ''
expect 0 cmp "$png" "$SCRATCH/again.png"
for options in "--sheet 4" "--sheet 3 --plane coronal" "--slice 1,2,3" "--window soft" \
    "--window -5,200 --size 64"; do
    # shellcheck disable=SC2086
    expect 0 "$VOLT" snapshot "$scan" "$truth" "$truth" -o "$png" $options
    is_png "$png"
done
# A mask on other voxels is drawn where it lies, with a warning.
expect 0 "$VOLT" convert "$truth" "$SCRATCH/lps.nii.gz" --reorient LPS --labels
expect 0 "$VOLT" snapshot "$scan" "$SCRATCH/lps.nii.gz" -o "$png"
err_has '^volt: warning: .*different grids'

rm -f "$png"
expect 2 "$VOLT" snapshot "$scan"
err_is 'volt: volt snapshot needs an output: -o PATH'
expect 2 "$VOLT" snapshot "$scan" -o "$png" --slice 1,2,999
err_has 'slice 999 along z'
expect 2 "$VOLT" snapshot "$scan" -o "$png" --window 5,1
err_one_line
expect 2 "$VOLT" snapshot "$scan" -o "$png" --channel 1
err_one_line
expect 4 "$VOLT" snapshot "$scan" -o "$SCRATCH/no/x.png"
err_one_line
absent "$png"
no_leftovers "$SCRATCH"
done_testing
