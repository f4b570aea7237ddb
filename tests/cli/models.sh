#!/bin/bash
# volt import model and volt export model: nnU-Net's folder becomes a run and goes out again.
. "$3/tests/cli/common.inc"

models=$SOURCE/testdata/models run=$SCRATCH/run

expect 0 "$VOLT" import --help
out_has 'import model'
expect 0 "$VOLT" import model --help
out_has 'no code in them'
expect 2 "$VOLT" import model "$models/resampled/model"
err_one_line
expect 0 "$VOLT" import model "$models/resampled/model" "$run"
out_has '3d_fullres, 1 fold; [0-9]+ parameters in 48 tensors, 88 duplicates merged'
out_has "^volt predict $run SCANS"
expect 0 "$VOLT" import model "$models/resampled/model" "$SCRATCH/it's one"
out_has "^volt predict '$SCRATCH/it'\\\\''s one' SCANS"
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

expect 2 "$VOLT" export model "$run" -o "$SCRATCH/out"
err_has 'needs --format'
expect 0 "$VOLT" export model "$run" --format nnunet -o "$SCRATCH/nnunet" --json
out_json output folds parameters tensors
exists "$SCRATCH/nnunet/plans.json"
exists "$SCRATCH/nnunet/dataset.json"
exists "$SCRATCH/nnunet/fold_0/checkpoint_final.pth"
expect 10 "$VOLT" export model "$run" --format nnunet -o "$SCRATCH/nnunet"
expect 0 "$VOLT" export model "$run" --format onnx -o "$SCRATCH/net.onnx"
exists "$SCRATCH/net.onnx"
expect 0 "$VOLT" export model "$run" --format safetensors -o "$SCRATCH/net.safetensors"
exists "$SCRATCH/net.safetensors"

# Out and in again: the same masks.
expect 0 "$VOLT" import model "$SCRATCH/nnunet" "$SCRATCH/again" --json
out_json run configuration folds parameters tensors aliases
expect 0 "$VOLT" predict "$SCRATCH/again" "$models/resampled/scan_0000.nii.gz" -o "$SCRATCH/masks2" \
    --no-mirror --precision fp32 -q
expect 0 cmp "$SCRATCH/masks/scan.nii.gz" "$SCRATCH/masks2/scan.nii.gz"
expect 0 "$VOLT" import model "$SCRATCH/net.safetensors" "$SCRATCH/third" \
    --plans "$SCRATCH/nnunet/plans.json" --dataset "$SCRATCH/nnunet/dataset.json" -q
no_leftovers "$SCRATCH"
done_testing
