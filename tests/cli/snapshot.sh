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
for options in "--sheet 4" "--sheet 3 --plane coronal" "--background white --no-crosshair" "--slice 1,2,3" "--window soft" \
    "--window -5,200 --size 64"; do
    # shellcheck disable=SC2086
    expect 0 "$VOLT" snapshot "$scan" "$truth" "$truth" -o "$png" $options
    is_png "$png"
done
# A mask on other voxels is drawn where it lies, with a warning.
expect 0 "$VOLT" convert "$truth" "$SCRATCH/lps.nii.gz" --reorient LPS --labels
expect 0 "$VOLT" snapshot "$scan" "$SCRATCH/lps.nii.gz" -o "$png"
err_has '^volt: warning: .*different grids'

# width FILE: of a PNG, in pixels.
width() { od -An -j16 -N4 -tu1 "$1" | awk '{ print $1 * 16777216 + $2 * 65536 + $3 * 256 + $4 }'; }

# The figure of a case: four channels and the truth; a prediction adds a column. A case can be
# named in five ways.
case=$SCRATCH/data/brats_001
expect 0 "$VOLT" convert "$truth" "$SCRATCH/prediction.nii.gz" --labels
expect 0 "$VOLT" snapshot "$case" -o "$png"
err_is ''
five=$(width "$png")
cp "$png" "$SCRATCH/figure.png"
for name in "$scan" "$SCRATCH/data/imagesTr/brats_001" "$SCRATCH/data/imagesTr/brats_001_0000.nii.gz"; do
    expect 0 "$VOLT" snapshot "$name" --channels all -o "$png"
    expect 0 cmp "$png" "$SCRATCH/figure.png"
done
(cd "$SCRATCH/data" && "$VOLT" snapshot brats_001 -q -o "$png")
[ "$(width "$png")" = "$five" ] || fail "a case of the current folder is drawn in another width"
expect 0 "$VOLT" snapshot "$case" "$SCRATCH/prediction.nii.gz" -o "$png"
[ "$(width "$png")" -gt $((five + 100)) ] || fail "the prediction has no column"
expect 0 "$VOLT" snapshot "$case" "$truth" -o "$png"
[ "$(width "$png")" = "$five" ] || fail "the truth given again is drawn twice"
expect 0 "$VOLT" snapshot "$case" --channels t1ce,3 --channel 0 --plane coronal -o "$png"
[ "$(width "$png")" -lt "$five" ] || fail "two channels are as wide as four"
expect 2 "$VOLT" snapshot "$case" --channels t9 -o "$SCRATCH/no.png"
err_is 'volt: no channel of brats_001 is named t9; its first is T1'
expect 2 "$VOLT" snapshot "$SCRATCH/data" --sheet 3 --channels all -o "$SCRATCH/no.png"
err_has 'instead of --channels'
expect 4 "$VOLT" snapshot "$SCRATCH/data/brats_009" -o "$SCRATCH/no.png"
err_one_line
expect 2 "$VOLT" snapshot "$case" --channels all --channel 7 -o "$SCRATCH/no.png"
err_one_line

# A file of LiTS stands for its case, although no dataset.json lies there.
expect 0 "$VOLT" phantom liver "$SCRATCH/lits" --layout lits --cases 2 --size 24 -q
expect 0 "$VOLT" snapshot "$SCRATCH/lits/volume-1" -o "$SCRATCH/lits.png"
expect 0 "$VOLT" snapshot "$SCRATCH/lits/volume-1.nii" --channels all -o "$png"
expect 0 cmp "$png" "$SCRATCH/lits.png"
# Grey values become labels, so that names and Dice are right, however the truth is given.
expect 0 "$VOLT" phantom brats "$SCRATCH/grey" --layout grey --cases 1 --size 24 --seed 5 -q
expect 0 "$VOLT" snapshot "$SCRATCH/grey/brats_001" --channels FLAIR -o "$SCRATCH/grey.png"
expect 0 "$VOLT" snapshot "$SCRATCH/grey/imagesTr/brats_001_0003.nii.gz" \
    "$SCRATCH/grey/labelsTr/brats_001.nii.gz" -o "$png"
err_has 'brats_001.nii.gz has grey values; labels from the thresholds of its dataset.json$'
cp "$png" "$SCRATCH/from_grey.png"
expect 0 "$VOLT" snapshot "$SCRATCH/grey/imagesTr/brats_001_0003.nii.gz" "$truth" -o "$png"
expect 0 cmp "$png" "$SCRATCH/from_grey.png"
# A scan given as a mask is drawn as an image, and said to be one.
expect 0 "$VOLT" snapshot "$scan" "${scan/_0003/_0001}" "$truth" -o "$png"
err_has '^volt: warning: .*_0001.nii.gz has .*: drawn as an image, not as a mask$'
err_one_line
# A mask before its image: the user learns why it is drawn grey.
expect 0 "$VOLT" snapshot "$truth" "$scan" -o "$png"
err_has "^volt: warning: $truth looks like a mask, but the first file is drawn as an image; give it after the images\$"
# A mask given as the image is one.
expect 0 "$VOLT" snapshot "$truth" -o "$png"
err_is ''

# A mask of many small labels that says nothing is scattered like a scan; one that says that it
# is a mask is one: by its intent code, a table in it or next to it, a table for its folder.
# scattered FILE LABELS INTENT: 12 x 12 x 12 voxels.
scattered() {
    make_nifti "$1" 12 12 12 "$3" "int((s = (s ? s : 1) * 16807 % 2147483647) / 1000) % ($2 + 1)"
}
many=$SCRATCH/many
mkdir -p "$many/folder"
scattered "$many/image.nii" 80 0
expect 0 "$VOLT" info "$many/image.nii"
out_has 'values +0 to 80$'
is_mask() {
    expect 0 "$VOLT" snapshot "$many/image.nii" "$1" -o "$png"
    ! grep -q 'drawn as an image' "$ERR" || fail "$1 is drawn as an image"
}
for labels in 40 120; do
    scattered "$many/plain.nii" $labels 0
    expect 0 "$VOLT" snapshot "$many/image.nii" "$many/plain.nii" -o "$png"
    err_has 'plain.nii has .* different values, scattered as in a scan: drawn as an image'
    scattered "$many/intent.nii" $labels 1002
    is_mask "$many/intent.nii"
    for kind in label txt ctbl; do
        awk -v n=$labels -v k=$kind 'BEGIN { for (i = 0; i <= n; i++) if (k == "ctbl")
            print i, "region_" i, 9, 9, i, 255; else
            print i, 9, 9, i, 1, 1, 1, "\"region " i "\"" }' >"$many/table.$kind"
        cp "$many/plain.nii" "$many/$kind.nii"
        cp "$many/table.$kind" "$many/$kind.$kind"
        is_mask "$many/$kind.nii"
        [ "$kind" != txt ] || continue
        cp "$many/plain.nii" "$many/folder/$kind.nii"
        cp "$many/table.$kind" "$many/folder/labels.$kind"
        is_mask "$many/folder/$kind.nii"
        rm "$many/folder/labels.$kind"
    done
    expect 0 "$VOLT" convert "$many/label.nii" "$many/embedded.nii.gz" --labels
    is_mask "$many/embedded.nii.gz"
    if [ -x "$(dirname "$VOLT")/volt-itk" ]; then
        expect 0 "$VOLT" convert "$many/label.nii" "$many/slicer.seg.nrrd" --labels
        is_mask "$many/slicer.seg.nrrd"
    fi
done
# A table for the folder speaks for masks whose values it names, not for the scans there.
cp "$many/image.nii" "$many/folder/scan.nii"
head -41 "$many/table.label" >"$many/folder/labels.label"
expect 0 "$VOLT" snapshot "$many/image.nii" "$many/folder/scan.nii" -o "$png"
err_has 'scan.nii has .*: drawn as an image'

# A damaged table of names is named and does not keep the mask from being drawn.
mkdir -p "$SCRATCH/named"
cp "$truth" "$SCRATCH/named/mask.nii.gz"
echo '1 red nonsense' >"$SCRATCH/named/mask.label"
expect 0 "$VOLT" snapshot "$scan" "$SCRATCH/named/mask.nii.gz" -o "$png"
err_has '^volt: warning: .*named/mask.label.*; its labels appear as numbers$'
expect 4 "$VOLT" snapshot "$SCRATCH/data/none.nii.gz" --channels all -o "$SCRATCH/no.png"
err_one_line

# A mask from elsewhere.
expect 0 "$VOLT" phantom brats "$SCRATCH/far" --cases 1 --size 16 --seed 6 -q
expect 0 "$VOLT" snapshot "$SCRATCH/far/imagesTr/brats_001_0000.nii.gz" "$truth" -o "$png"
err_has 'different grids'

# Photographs and 4-D files.
expect 0 "$VOLT" phantom brats "$SCRATCH/two" --cases 2 --size 24 --seed 6 -q
expect 2 "$VOLT" snapshot "$SCRATCH/two" -o "$SCRATCH/no.png"
err_has 'is a data set with 2 cases: name one, such as .*/two/brats_001'
expect 0 "$VOLT" snapshot "$png" -o "$SCRATCH/photo.png" --size 200
is_png "$SCRATCH/photo.png"
expect 0 "$VOLT" snapshot "$png" "$png" -o "$SCRATCH/photo.png" --size 200
err_is ''
absent "$SCRATCH/no.png"

# A stack of pictures is an image, and one of masks a mask.
make_stack "$SCRATCH/stack/scan.dir" 11 png "(i * i + 7 * z) % 199"
make_stack "$SCRATCH/stack/mask" 11 png "z > 4 && i % 12 > 5 ? 2 : z > 2 && i % 12 > 3"
expect 0 "$VOLT" snapshot "$SCRATCH/stack/scan.dir" "$SCRATCH/stack/mask/" -o "$png"
err_is ''
expect 0 "$VOLT" snapshot "$SCRATCH/stack/scan.dir" "$SCRATCH/stack/mask" --sheet 11 -o "$png"
expect 0 "$VOLT" snapshot "$SCRATCH/stack/scan.dir" --channels all "$SCRATCH/stack/mask" -o "$png"
expect 5 "$VOLT" snapshot "$SCRATCH/stack/scan.dir" "$SCRATCH/stack" -o "$SCRATCH/no.png"
err_one_line
make_stack "$SCRATCH/stack/scan.dir" 1 png i 11
expect 10 "$VOLT" snapshot "$SCRATCH/stack/scan.dir" -o "$SCRATCH/no.png"
err_has 'slice_1.png has 11 pixels along x; the slices before it have 12|slice_2.png has 12 pixels along x; the slices before it have 11'
absent "$SCRATCH/no.png"

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
