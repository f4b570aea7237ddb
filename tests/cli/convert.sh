#!/bin/bash
# volt convert: what is asked for changes, the rest stays; failures leave no file.
. "$3/tests/cli/common.inc"

make_data 1
scan=$SCRATCH/data/imagesTr/brats_001_0000.nii.gz
truth=$SCRATCH/data/labelsTr/brats_001.nii.gz
out=$SCRATCH/out.nii.gz

voxels() { "$VOLT" info "$1" | grep -E '^  (size|spacing|orientation|type|values|to world|   )'; }

expect 0 "$VOLT" convert "$scan" "$out"
[ "$(voxels "$scan")" = "$(voxels "$out")" ] || fail "a plain copy changed something"
expect 0 "$VOLT" convert "$scan" "$SCRATCH/flat.nii"
gzip -dc "$out" | cmp -s - "$SCRATCH/flat.nii" || fail ".nii and .nii.gz differ in content"

# There and back: the same voxels at the same place.
expect 0 "$VOLT" convert "$scan" "$SCRATCH/turned.nii" --reorient PSL
"$VOLT" info "$SCRATCH/turned.nii" | grep -q 'orientation  PSL' || fail "the axes are not PSL"
expect 0 "$VOLT" convert "$SCRATCH/turned.nii" "$SCRATCH/back.nii" --reorient RAS
expect 0 "$VOLT" convert "$scan" "$SCRATCH/ras.nii" --reorient RAS
tail -c +353 "$SCRATCH/back.nii" >"$SCRATCH/voxels.a"
tail -c +353 "$SCRATCH/ras.nii" >"$SCRATCH/voxels.b"
expect 0 cmp "$SCRATCH/voxels.a" "$SCRATCH/voxels.b"

expect 0 "$VOLT" convert "$scan" "$out" --like "$SCRATCH/turned.nii"
[ "$(voxels "$out" | head -5)" = "$(voxels "$SCRATCH/turned.nii" | head -5)" ] ||
    fail "the grid is not that of the reference"
expect 0 "$VOLT" convert "$scan" "$out" --spacing 5,6.5,7
"$VOLT" info "$out" | grep -qE 'size +[0-9]+ x' || fail "nothing was written"
expect 0 "$VOLT" convert "$truth" "$out" --spacing 5,5,5 --labels
"$VOLT" info "$out" | grep -q 'type         uint8' || fail "labels are not uint8"
[ -s "$ERR" ] && fail "it warns of labels that it was told of"
expect 0 "$VOLT" convert "$truth" "$out" --spacing 5,5,5
err_has 'looks like a label map, but its values were interpolated; use --labels$'
expect 0 "$VOLT" convert "$truth" "$out" --reorient LPS
[ -s "$ERR" ] && fail "it warns of labels that stay as they are"
expect 0 "$VOLT" convert "$scan" "$SCRATCH/smooth.nii" --dtype float32 --spacing 7,8,9
expect 0 "$VOLT" convert "$SCRATCH/smooth.nii" "$out" --dtype uint8
err_has '^volt: warning: .*rounded or clipped to fit uint8'

# The repetition time, pixdim[4], survives; 2.5 as a float.
expect 0 "$VOLT" convert "$scan" "$SCRATCH/tr.nii"
printf '\0\0\x20\x40' | dd of="$SCRATCH/tr.nii" bs=1 seek=92 conv=notrunc 2>/dev/null
for how in '--spacing 7,8,9' '--reorient PSL' '--dtype float32' "--like $truth" ''; do
    expect 0 "$VOLT" convert "$SCRATCH/tr.nii" "$SCRATCH/kept.nii" $how -q
    [ "$(od -A n -t f4 -j 92 -N 4 "$SCRATCH/kept.nii" | tr -d ' ')" = 2.5 ] ||
        fail "convert $how loses the repetition time"
done

# Formats that cannot store where the scan lies: reoriented or refused, never silently.
if [ -x "$(dirname "$VOLT")/volt-itk" ]; then
expect 0 "$VOLT" convert "$SCRATCH/ras.nii" "$SCRATCH/volume.tif"
err_is "volt: warning: $SCRATCH/volume.tif: TIFF stores neither position nor orientation; reoriented from RAS to LPS"
expect 0 "$VOLT" info "$SCRATCH/volume.tif"
out_has 'orientation  unknown, assumed LPS'
expect 0 "$VOLT" info --json "$SCRATCH/volume.tif"
grep -q '"orientation":"unknown","assumed_orientation":"LPS"' "$OUT" || fail "--json names an orientation"
expect 0 "$VOLT" convert "$SCRATCH/ras.nii" "$SCRATCH/volume.gipl"
err_is "volt: warning: $SCRATCH/volume.gipl: GIPL stores no orientation; reoriented from RAS to LPS"
expect 2 "$VOLT" convert "$SCRATCH/ras.nii" "$SCRATCH/no.gipl" --reorient RAS
err_is "volt: $SCRATCH/no.gipl: GIPL cannot store the orientation RAS, only LPS; reorient it, or choose another format"
absent "$SCRATCH/no.gipl"
expect 0 "$VOLT" convert "$SCRATCH/volume.gipl" "$SCRATCH/volume.nrrd"
err_is "volt: warning: the orientation of $SCRATCH/volume.gipl is unknown; $SCRATCH/volume.nrrd states LPS, which is assumed"
# What is unusual in a header is said where the output does not have that header.
printf '%s\n' NRRD0004 'type: uchar' 'dimension: 3' 'sizes: 2 2 2' 'encoding: raw' 'space: RAS' \
    'space directions: (1,0,0) (0,1,0) (0,0,1)' 'space units: "cm" "cm" "cm"' '' 1234567 \
    >"$SCRATCH/cm.nrrd"
expect 0 "$VOLT" convert "$SCRATCH/cm.nrrd" "$SCRATCH/cm.nii"
err_is "volt: warning: $SCRATCH/cm.nrrd: its space units are not mm; its numbers are taken as mm, as in ITK"
fi

rm -f "$out"
expect 2 "$VOLT" convert "$scan" "$out" --reorient RRS
err_one_line
expect 2 "$VOLT" convert "$scan" "$out" --dtype int7
err_one_line
expect 2 "$VOLT" convert "$scan" "$out" --spacing 1,0,1
err_one_line
expect 2 "$VOLT" convert "$scan" "$out" --spacing 1,1
err_is "volt: --spacing: '1,1' has 2 numbers; 3 are expected, written x,y,z"
expect 2 "$VOLT" convert "$scan" "$out" --spacing 1,1,1 --like "$truth"
err_is 'volt: --spacing and --like cannot be combined'
expect 2 "$VOLT" convert "$scan" "$SCRATCH/out.mgz"
err_one_line
expect 4 "$VOLT" convert "$scan" "$SCRATCH/no/such/folder.nii.gz"
err_one_line
expect 5 "$VOLT" convert "$SCRATCH/smooth.nii" "$out" --labels
err_one_line
absent "$out"

# A full disk: the sentence says so and nothing is left.
if [ -w /dev/full ] && [ "$(id -u)" -eq 0 ] && mkdir -p "$SCRATCH/disk" &&
    mount -t tmpfs -o size=16k tmpfs "$SCRATCH/disk" 2>/dev/null; then
    expect 4 "$VOLT" convert "$scan" "$SCRATCH/disk/out.nii"
    err_has 'No space left'
    [ -z "$(ls -A "$SCRATCH/disk")" ] || fail "a part of the file was left"
    umount "$SCRATCH/disk"
fi
# A file that fits, but not what it becomes: the sentence names it.
if ! nm "$VOLT" 2>/dev/null | grep -q __asan_init; then
    large=$SCRATCH/large.nii
    expect 0 "$VOLT" convert "$truth" "$large" --labels -q
    printf '\3\0\0\2\0\2\0\2' | dd of="$large" bs=1 seek=40 conv=notrunc 2>"$ERR" # 512^3
    printf '\2\0\10\0' | dd of="$large" bs=1 seek=70 conv=notrunc 2>"$ERR" # uint8
    offset=$(od -An -tf4 -j108 -N4 "$large" | tr -d ' ')
    truncate -s $((offset + 512 * 512 * 512)) "$large"
    for command in "convert $large $SCRATCH/no.nii --dtype float32" \
        "convert $large $SCRATCH/no.nii --reorient SAR --dtype float32" \
        "snapshot $scan $large -o $SCRATCH/no.png"; do
        # shellcheck disable=SC2086
        expect 3 bash -c 'ulimit -v 650000; exec "$@"' - "$VOLT" $command
        err_has '^volt: [^:]*large\.nii: .*memory'
        err_one_line
    done
    rm "$large"
fi

no_leftovers "$SCRATCH"
# A stack of pictures, whose spacing is unknown until the user states it.
make_stack "$SCRATCH/stack" 11 png "z"
expect 0 "$VOLT" convert "$SCRATCH/stack" "$SCRATCH/stack.nii.gz"
err_is "volt: warning: spacing and orientation of $SCRATCH/stack are unknown; $SCRATCH/stack.nii.gz states 1 x 1 x 1 mm and LPS, which are assumed (--spacing x,y,z states the spacing)"
expect 0 "$VOLT" convert "$SCRATCH/stack" "$SCRATCH/stated.nii.gz" --spacing 0.5,0.75,3
err_is "volt: warning: the orientation of $SCRATCH/stack is unknown; $SCRATCH/stated.nii.gz states LPS, which is assumed"
expect 0 "$VOLT" info "$SCRATCH/stated.nii.gz"
out_has 'size +12 x 12 x 11 voxels'
out_has 'spacing +0.5 x 0.75 x 3 mm'
out_has 'values +0 to 10$'
expect 0 "$VOLT" convert "$SCRATCH/stack" "$SCRATCH/labels.nii.gz" --labels --spacing 1,1,2
rm "$SCRATCH/stack/slice_10.png"
expect 10 "$VOLT" convert "$SCRATCH/stack" "$SCRATCH/no.nii.gz"
err_has 'stack lacks a slice between slice_9.png and slice_11.png'
absent "$SCRATCH/no.nii.gz"

done_testing
