#!/bin/bash
# volt evaluate: perfect masks score 1, differing ones less, nonsense is refused.
. "$3/tests/cli/common.inc"

make_data 2
truth=$SCRATCH/data/labelsTr
expect 0 "$VOLT" evaluate "$truth" "$truth" -o "$SCRATCH/summary.json"
out_has '^mean over classes +1\.0000 +1\.0000 +0\.00 +0\.00 +1\.0000$'
out_has '^2 cases$'
exists "$SCRATCH/summary.json"
grep -q '"foreground_mean"' "$SCRATCH/summary.json" || fail "no foreground_mean in summary.json"
expect 0 "$VOLT" evaluate --json "$truth" "$truth" --no-surface
out_json cases mean
out_lacks 'HD95'

mkdir -p "$SCRATCH/pred"
cp "$truth/brats_002.nii.gz" "$SCRATCH/pred/brats_001.nii.gz" # somebody else's mask
expect 0 "$VOLT" evaluate "$SCRATCH/pred" "$truth"
out_lacks '^mean over classes +1\.0000'
expect 0 "$VOLT" evaluate "$SCRATCH/pred/brats_001.nii.gz" "$truth/brats_001.nii.gz"
out_has '^1 cases$'

expect 2 "$VOLT" evaluate "$SCRATCH/pred" "$truth/brats_001.nii.gz"
err_has 'give two folders or two files'
mv "$SCRATCH/pred/brats_001.nii.gz" "$SCRATCH/pred/other.nii.gz"
expect 10 "$VOLT" evaluate "$SCRATCH/pred" "$truth" -o "$SCRATCH/never.json"
err_is "volt: $SCRATCH/pred/other.nii.gz has no truth: $truth/other.nii.gz does not exist"
absent "$SCRATCH/never.json"
rm "$SCRATCH/pred/other.nii.gz"
expect 10 "$VOLT" evaluate "$SCRATCH/pred" "$truth"
err_has 'holds no NIfTI file'
expect 0 "$VOLT" convert "$truth/brats_001.nii.gz" "$SCRATCH/pred/brats_001.nii.gz" --labels \
    --spacing 30,30,30
expect 10 "$VOLT" evaluate "$SCRATCH/pred" "$truth"
err_has 'voxels along'
expect 4 "$VOLT" evaluate "$SCRATCH/none" "$SCRATCH/none"
err_one_line
done_testing
