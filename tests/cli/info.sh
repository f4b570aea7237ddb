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

# One bad file among good ones: the others are told, the command fails.
expect 4 "$VOLT" info "$SCRATCH/missing.nii" "$scan"
out_has 'unreadable   cannot open'
out_has '^  values'
err_is 'volt: 1 of 2 files cannot be read'
expect 4 "$VOLT" info --json "$SCRATCH/missing.nii" "$scan"
out_json file
expect 2 "$VOLT" info
err_has 'too few arguments; usage: volt info'
done_testing
