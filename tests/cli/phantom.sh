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

expect 2 "$VOLT" phantom brats "$SCRATCH/a" --cases 1
err_is "volt: $SCRATCH/a is not empty"
expect 2 "$VOLT" phantom lung "$SCRATCH/d"
err_one_line
absent "$SCRATCH/d"
expect 2 "$VOLT" phantom brats "$SCRATCH/d" --size 15
err_is "volt: --size: '15' is not an integer from 16 to 1024"
absent "$SCRATCH/d"
expect 4 "$VOLT" phantom brats /proc/volt-cannot-be-made --cases 1
err_one_line
done_testing
