#!/bin/bash
# volt info: what it tells of good files, how it refuses bad ones.
. "$3/tests/cli/common.inc"

make_data 1
scan=$SCRATCH/data/imagesTr/brats_001_0000.nii.gz
expect 0 "$VOLT" info "$scan"
out_has '^  size         [0-9]+ x [0-9]+ x [0-9]+ voxels'
out_has '^  orientation  [RL][AP][SI]'
out_has '^  values'
err_is ''
expect 0 "$VOLT" info --header "$scan"
out_lacks '^  values'
expect 0 "$VOLT" info --json "$scan" "$SCRATCH/data/labelsTr/brats_001.nii.gz"
out_json file size spacing_mm orientation to_world type min max warnings
[ "$(wc -l <"$OUT")" -eq 2 ] || fail "one line a file is expected"

expect 4 "$VOLT" info "$SCRATCH/missing.nii"
err_is "volt: cannot open $SCRATCH/missing.nii: No such file or directory"
out_is ''
head -c 2000 "$scan" >"$SCRATCH/cut.nii.gz"
expect 5 "$VOLT" info "$SCRATCH/cut.nii.gz"
err_one_line
err_has 'cut.nii.gz'
expect 5 "$VOLT" info "$SCRATCH"
err_one_line
: >"$SCRATCH/empty.nii"
expect 5 "$VOLT" info "$SCRATCH/empty.nii"
err_one_line

# A small file, or a sparse one, whose header asks for more memory than there is: a sentence and
# exit 3 before anything is allocated.
"$VOLT" convert "$scan" "$SCRATCH/scan.nii" --dtype int16 -q
{ head -c 42 "$SCRATCH/scan.nii"; printf '\x80\x02\x80\x02\x80\x02'
  tail -c +49 "$SCRATCH/scan.nii" | head -c 304; } >"$SCRATCH/huge.nii"
truncate -s 524288352 "$SCRATCH/huge.nii"
printf '%s\n' 'ObjectType = Image' 'NDims = 3' 'DimSize = 640 640 640' 'ElementType = MET_FLOAT' \
    'ElementDataFile = huge.raw' >"$SCRATCH/huge.mhd"
truncate -s 1048576000 "$SCRATCH/huge.raw"
files=("$SCRATCH/huge.nii")
[ -x "$(dirname "$VOLT")/volt-itk" ] && files+=("$SCRATCH/huge.mhd")
nm "$VOLT" 2>/dev/null | grep -q __asan_init && files=() # it needs unlimited address space
for file in "${files[@]}"; do
    expect 3 bash -c 'ulimit -v 900000; exec "$@"' - "$VOLT" info "$file"
    err_one_line
    err_has "^volt: $file: reading its 640 x 640 x 640 voxels: this needs .* of memory, but only .* is available"
    expect 0 "$VOLT" info --header "$file"
done

# One bad file among good ones: the others are told, the command fails.
expect 4 "$VOLT" info "$SCRATCH/missing.nii" "$scan"
out_has 'unreadable   cannot open'
out_has '^  values'
err_is 'volt: 1 of 2 files cannot be read'
expect 4 "$VOLT" info --json "$SCRATCH/missing.nii" "$scan"
out_json file
expect 2 "$VOLT" info
err_has 'too few arguments; usage: volt info'
# What others wrote into names reaches no terminal as it is; JSON has U+FFFD for what is not UTF-8.
odd=$SCRATCH/$'caf\xe9\e[31m.nii'
head -c 300 "$scan" >"$odd"
expect 5 "$VOLT" info "$odd"
err_has '^volt: .*/caf\?\?\[31m\.nii '
expect 5 "$VOLT" info --json "$odd" "$scan"
out_json file
out_has '^\{"file":"[^"]*/caf\\uFFFD\\u001B\[31m\.nii","error":'
"$VOLT" convert "$scan" "$odd" -q
expect 0 "$VOLT" info "$odd"
expect 0 "$VOLT" info --json "$odd"
out_json file size
out_has '^\{"file":"[^"]*/caf\\uFFFD\\u001B\[31m\.nii","format"'
sed -i 's/"edema"/"ed\\u001b[31mema"/' "$SCRATCH/data/dataset.json"
expect 5 "$VOLT" dataset show "$SCRATCH/data"
err_one_line
err_has '/dataset\.json: labels\.ed\?\[31mema has a control character in its name$'
# A folder of pictures is a stack of slices, in the order of their numbers.
make_stack "$SCRATCH/stack" 11 png "z"
for options in "" --header; do
    expect 0 "$VOLT" info "$SCRATCH/stack" $options
    out_has 'format +stack of PNG$'
    out_has 'size +12 x 12 x 11 voxels'
    out_has 'spacing +unknown'
    out_has 'orientation +unknown'
    expect 0 "$VOLT" info --json "$SCRATCH/stack/" $options
    out_has '"size":\[12,12,11\].*"spacing_known":false,"orientation":"unknown".*"geometry":"none"'
    expect 0 "$VOLT" info "$SCRATCH/stack/slice_*.png" $options
    out_has 'size +12 x 12 x 11 voxels'
done
for ending in bmp jpg; do
    make_stack "$SCRATCH/$ending" 2 $ending "i"
    expect 0 "$VOLT" info "$SCRATCH/$ending"
    out_has 'size +12 x 12 x 2 voxels'
done
mv "$SCRATCH/stack/slice_4.png" "$SCRATCH/slice_4.png"
expect 10 "$VOLT" info "$SCRATCH/stack"
err_has 'lacks a slice between slice_3.png and slice_5.png'
make_stack "$SCRATCH/wide" 4 png "z" 13
mv "$SCRATCH/wide/slice_4.png" "$SCRATCH/stack"
for options in "" --header; do
    expect 10 "$VOLT" info "$SCRATCH/stack" $options
    err_is "volt: $SCRATCH/stack/slice_4.png has 13 pixels along x; the slices before it have 12"
done
mkdir "$SCRATCH/bare"
expect 5 "$VOLT" info "$SCRATCH/bare"
err_has 'bare is a folder and holds no pictures'
expect 5 "$VOLT" info "$SCRATCH/data/imagesTr"
err_has 'imagesTr is a folder of scans, such as brats_001_0000.nii.gz, and no stack of slices'

done_testing
