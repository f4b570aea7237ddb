#!/bin/bash
# Networks of MONAI: imported and used, described in a plan and trained, and out again.
. "$3/tests/cli/common.inc"

models=$SOURCE/testdata/models

expect 0 "$VOLT" import model --help
out_has "MONAI's UNet and DynUNet"
for name in monai_batch monai_dynunet; do
    expect 0 "$VOLT" import model "$models/$name/weights.pt" "$SCRATCH/$name" \
        --plans "$models/$name/plans.json" --dataset "$models/$name/dataset.json"
    out_has '3d_fullres, 1 fold'
    expect 0 "$VOLT" predict "$SCRATCH/$name" "$models"/cropped/scan_000[01].nii.gz \
        -o "$SCRATCH/masks" --precision fp32 -q
    exists "$SCRATCH/masks/scan.nii.gz"
done
expect 6 "$VOLT" export model "$SCRATCH/monai_batch" --format nnunet -o "$SCRATCH/folder"
err_has 'is a MONAI UNet'
absent "$SCRATCH/folder"

# A plan that names MONAI's UNet trains; its weights start another training and go out and in.
make_data 4 32
data=$SCRATCH/data work=$SCRATCH/work
expect 0 "$VOLT" plan "$data" --work "$work" -q
sed -i 's/"3d_fullres": {/"monai": {"inherits_from": "3d_fullres", "architecture": {\
        "network_class_name": "monai.networks.nets.UNet", "arch_kwargs": {"spatial_dims": 3,\
        "channels": [4, 8, 8], "strides": [2, 2], "num_res_units": 1, "norm": "INSTANCE"}}},\
        &/' "$work/plans.json"
short="-c monai --epochs 1 --iterations 3 --validation 1 --batch 2 --work $work"
expect 0 "$VOLT" plan "$data" --work "$work"
out_has "monai \\(MONAI UNet\\)"
expect 0 "$VOLT" train "$data" -o "$SCRATCH/run" $short --json -q
out_json run iterations peak_bytes announced_bytes
expect 0 "$VOLT" export model "$SCRATCH/run" --format safetensors -o "$SCRATCH/net.safetensors"
expect 0 "$VOLT" train "$data" -o "$SCRATCH/more" $short --init "$SCRATCH/net.safetensors" \
    --init-mode strict --freeze 'model.0.*' -q
expect 0 "$VOLT" import model "$SCRATCH/net.safetensors" "$SCRATCH/again" -c monai \
    --plans "$work/plans.json" --dataset "$SCRATCH/run/dataset.json" -q
for run in run again; do
    expect 0 "$VOLT" predict "$SCRATCH/$run" "$data"/imagesTr/brats_001_000*.nii.gz \
        -o "$SCRATCH/$run.masks" --no-mirror -q
done
expect 0 cmp "$SCRATCH/run.masks/brats_001.nii.gz" "$SCRATCH/again.masks/brats_001.nii.gz"

# A network that cannot be trained is named before anything is prepared.
sed -i 's/"norm": "INSTANCE"/"norm": "BATCH"/' "$work/plans.json"
expect 6 "$VOLT" train "$data" -o "$SCRATCH/never" $short -q
err_has 'batch normalization'
absent "$SCRATCH/never/checkpoint_latest.safetensors"
no_leftovers "$SCRATCH"
done_testing
