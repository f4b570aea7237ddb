#!/bin/bash
# Models of other programs: MONAI bundles predict as MONAI does; what cannot be mapped is named.
. "$3/tests/cli/common.inc"

bundles=$SOURCE/testdata/bundles
for name in unet dynunet; do
    expect 0 "$VOLT" import model "$bundles/$name" "$SCRATCH/$name" --json
    out_json run configuration
    mkdir "$SCRATCH/scans.$name"
    cp "$bundles/$name"/scan_*.nii.gz "$SCRATCH/scans.$name"
    expect 0 "$VOLT" predict "$SCRATCH/$name" "$SCRATCH/scans.$name" -o "$SCRATCH/masks.$name" \
        --precision fp32 -q
    for side in "$SCRATCH/masks.$name/scan.nii.gz" "$bundles/$name/mask.nii.gz"; do
        expect 0 "$VOLT" convert "$side" "$SCRATCH/${side##*/}.$name.nii" --dtype uint8 -q
    done
    # headers may differ in what is no geometry; the voxels come last
    voxels=$(($(stat -c %s "$SCRATCH/mask.nii.gz.$name.nii") - 352))
    for side in scan mask; do
        tail -c "$voxels" "$SCRATCH/$side.nii.gz.$name.nii" >"$SCRATCH/$side.$name.raw"
    done
    expect 0 cmp "$SCRATCH/scan.$name.raw" "$SCRATCH/mask.$name.raw"
    expect 0 "$VOLT" evaluate "$SCRATCH/masks.$name/scan.nii.gz" "$bundles/$name/mask.nii.gz" -q
    out_has '1\.0000 +1\.0000'
done
expect 0 grep -q '"spleen": 1' "$SCRATCH/unet/dataset.json"
expect 0 grep -q '"0": "T1"' "$SCRATCH/dynunet/dataset.json"
expect 0 "$VOLT" import model "$bundles/dynunet/" "$SCRATCH/warned"
err_has 'warning: .*inference.json: 2 sigmoid outputs may overlap'

# changed SED: the bundle with its inference config edited.
changed() {
    rm -rf "$SCRATCH/changed" "$SCRATCH/no"
    cp -r "$bundles/unet" "$SCRATCH/changed"
    sed -i "$1" "$SCRATCH/changed/configs/inference.json"
}
# refused CODE WORDS
refused() {
    expect "$1" "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/no" -q
    err_one_line
    err_has "inference.json.*$2"
    absent "$SCRATCH/no"
    no_leftovers "$SCRATCH"
}
# The same config as YAML, of which JSON is a part, and as people write it.
changed ''
mv "$SCRATCH/changed/configs/inference.json" "$SCRATCH/changed/configs/inference.yaml"
expect 0 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/yaml1" -q
expect 0 cmp "$SCRATCH/yaml1/checkpoint_latest.safetensors" "$SCRATCH/unet/checkpoint_latest.safetensors"
cat >"$SCRATCH/changed/configs/inference.yaml" <<'END'
# a tiny network
classes: 3
network_def:
  _target_: UNet
  spatial_dims: 3
  in_channels: 1
  out_channels: "@classes"
  channels: [4, 8, 12]
  strides: [2, 2]
  num_res_units: 2
  norm: batch
network: $@network_def.to(@device)
preprocessing:
  _target_: Compose
  transforms:
  - {_target_: LoadImaged, keys: image}
  - _target_: Orientationd
    keys: image
    axcodes: RAS
  - _target_: Spacingd
    keys: image
    pixdim: [1.5, 1.25, 2.0]
    mode: bilinear
  - _target_: ScaleIntensityRanged
    keys: image
    a_min: -57
    a_max: 164
    b_min: 0.0
    b_max: 1.0
    clip: true
inferer:
  _target_: SlidingWindowInferer
  roi_size: [16, 24, 20]
END
expect 0 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/yaml2" -q
expect 0 cmp "$SCRATCH/yaml2/checkpoint_latest.safetensors" "$SCRATCH/unet/checkpoint_latest.safetensors"
sed -i 's/clip: true/clip: \&yes true/' "$SCRATCH/changed/configs/inference.yaml"
expect 6 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/no" -q
err_has 'inference.yaml: line 30 uses an anchor'
# What bundles of the Model Zoo have as well: len(), lists within lists, scaling before z-scores.
changed 's/"spatial_dims": 3/"spatial_dims": "$len(@window)"/'
expect 0 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/len" -q
expect 0 cmp "$SCRATCH/len/checkpoint_latest.safetensors" "$SCRATCH/unet/checkpoint_latest.safetensors"
changed 's/"transforms": \[/&{"_target_": "Compose", "transforms": [{"_target_": "LoadImaged", "keys": "image"}]},/'
expect 0 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/nested" -q
expect 0 cmp "$SCRATCH/nested/checkpoint_latest.safetensors" "$SCRATCH/unet/checkpoint_latest.safetensors"
changed 's/"_target_": "EnsureChannelFirstd",/"_target_": "ScaleIntensityd",/; s/"_target_": "ScaleIntensityRanged",/"_target_": "NormalizeIntensityd",/'
expect 0 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/scaled" -q
expect 0 grep -q ZScoreNormalization "$SCRATCH/scaled/plans.json"
changed 's/"transforms": \[/"transforms": ["@preprocessing",/'
refused 5 'is the innermost of more than 4 lists'
changed 's/ScaleIntensityRanged/ScaleIntensityRangePercentilesd/'
refused 6 'preprocessing.transforms\[4\] is ScaleIntensityRangePercentilesd, which has no counterpart'
changed 's/"SlidingWindowInferer"/"SimpleInferer"/; s/"roi_size"/"other"/'
expect 0 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/no" -q # the metadata gives the shape
changed 's/"Spacingd"/"Identityd"/'
refused 6 'Spacingd'
changed 's/"UNet"/"SegResNet"/'
refused 6 'network_def._target_ is "SegResNet"; MONAI.s UNet and DynUNet are supported'
changed 's/"classes": "$3"/"classes": "@classes"/'
refused 5 'chain of more than'
changed 's/"classes": "$3"/"classes": "$len([1, 2, 3])"/'
refused 6 'is the expression "\$len\(\[1, 2, 3\]\)", which only Python can evaluate'
changed 's/"classes": "$3"/"classes": "@nothing"/'
refused 5 'refers to "@nothing", which the file does not have'
changed 's/"norm": "batch"/"norm": "group"/'
refused 6 'norm'
changed 's/"argmax": true/"argmax": false, "threshold": 0.3/'
refused 6 'AsDiscreted, with a threshold other than 0.5'
changed 's/"pixdim": "[^"]*"/"pixdim": [1.5, -1, 2]/'
refused 5 'pixdim\[1\] is -1'
changed 's/"num_res_units": 2/"num_res_units": 1/'
expect 5 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/no" -q
err_one_line
err_has 'model.pt'
changed ''
mv "$SCRATCH/changed/models/model.pt" "$SCRATCH/changed/models/unet_tuned.pt"
expect 0 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/tuned" -q
expect 0 cmp "$SCRATCH/tuned/checkpoint_latest.safetensors" "$SCRATCH/unet/checkpoint_latest.safetensors"
cp "$SCRATCH/changed/models/unet_tuned.pt" "$SCRATCH/changed/models/other.pt" # which of them?
expect 5 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/no" -q
err_has 'changed is a MONAI bundle without weights \(models/model.pt\)'
changed ''
rm "$SCRATCH/changed/models/model.pt"
expect 5 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/no" -q
err_has 'changed is a MONAI bundle without weights'
cp "$bundles/script.ts" "$SCRATCH/changed/models/model.ts"
expect 6 "$VOLT" import model "$SCRATCH/changed" "$SCRATCH/no" -q
err_has 'is a TorchScript program; .* models/model.pt'
absent "$SCRATCH/no"

# Whole modules need Python: how to save their weights.
for file in whole.pt whole_legacy.pt script.ts; do
    expect 6 "$VOLT" import model "$bundles/$file" "$SCRATCH/no"
    err_one_line
    err_has "$file holds a .*monai.networks.nets.unet.UNet, .*torch.save\\(model.state_dict\\(\\), "
    absent "$SCRATCH/no"
done
mkdir "$SCRATCH/empty"
expect 10 "$VOLT" import model "$SCRATCH/empty" "$SCRATCH/no"
err_has 'neither an nnU-Net results folder .* nor a MONAI bundle'
done_testing
