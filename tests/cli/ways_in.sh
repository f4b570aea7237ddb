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
    # headers may differ in what is no geometry; voxels start at byte 352
    expect 0 cmp -i 352 "$SCRATCH/scan.nii.gz.$name.nii" "$SCRATCH/mask.nii.gz.$name.nii"
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
expect 5 "$VOLT" import model "$SCRATCH/empty" "$SCRATCH/no"
err_has 'neither an nnU-Net results folder .* nor a MONAI bundle'
done_testing
