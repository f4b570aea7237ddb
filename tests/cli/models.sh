#!/bin/bash
# volt import model and volt export model: nnU-Net's folder becomes a run and goes out again.
. "$3/tests/cli/common.inc"

models=$SOURCE/testdata/models run=$SCRATCH/run

expect 0 "$VOLT" import --help
out_has 'import model'
expect 0 "$VOLT" import model --help
out_has 'nothing in them is run'
expect 2 "$VOLT" import model "$models/resampled/model"
err_one_line
expect 0 "$VOLT" import model "$models/resampled/model" "$run"
out_has '3d_fullres, 1 fold; [0-9]+ parameters in 48 tensors, 88 repeated ones kept once'
expect 10 "$VOLT" import model "$models/resampled/model" "$run"
err_has 'is not empty'
expect 5 "$VOLT" import model "$models/archive.zip" "$SCRATCH/never"
err_one_line
expect 2 "$VOLT" import model "$models/resampled/model" "$SCRATCH/never" --folds 7
err_has 'there is no .*fold_7'
(cd "$SCRATCH" && cp "$models/zip.pth" evil.pth && printf '\0' | dd of=evil.pth bs=1 seek=300 conv=notrunc) 2>/dev/null
expect 5 "$VOLT" import model "$SCRATCH/evil.pth" "$SCRATCH/never"
err_one_line
absent "$SCRATCH/never"

expect 0 "$VOLT" predict "$run" "$models/resampled/scan_0000.nii.gz" -o "$SCRATCH/masks" --no-mirror \
    --precision fp32 -q
exists "$SCRATCH/masks/scan.nii.gz"

no_leftovers "$SCRATCH"
done_testing
