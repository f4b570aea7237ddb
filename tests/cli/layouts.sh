#!/bin/bash
# Data sets as their sites give them: found out, shown, checked, planned, imported.
. "$3/tests/cli/common.inc"

make_data 3
raw=$SCRATCH/data

# BraTS 2023: a folder per case, own names, own numbers, one case without labels elsewhere.
brats=$SCRATCH/brats
for i in 001 002 003; do
    id=BraTS-GLI-00$i-000
    mkdir -p "$brats/Train/$id"
    for m in 0:t1n 1:t1c 2:t2w 3:t2f; do
        cp "$raw/imagesTr/brats_${i}_000${m%%:*}.nii.gz" "$brats/Train/$id/$id-${m##*:}.nii.gz"
    done
    cp "$raw/labelsTr/brats_$i.nii.gz" "$brats/Train/$id/$id-seg.nii.gz"
done
mkdir -p "$brats/Validation" && cp -r "$brats/Train/BraTS-GLI-00003-000" \
    "$brats/Validation/BraTS-GLI-00009-000"
(cd "$brats/Validation/BraTS-GLI-00009-000" && rm ./*-seg.nii.gz &&
    for f in *; do mv "$f" "${f/00003/00009}"; done)
before=$(fingerprint "$brats")

expect 0 "$VOLT" dataset show "$brats"
out_has 'BraTS 2023$'
out_has '3 for training, 1 to predict'
out_has 'whole tumor +1,2,3; 1'
out_has '1 case without labels'
expect 0 "$VOLT" dataset show "$brats" --json
out_json dataset layout name channels labels regions images notes cases tests
expect 0 "$VOLT" check "$brats"
out_has 'BraTS 2023, 3 cases, 0 errors'
expect 0 "$VOLT" preprocess "$brats" --work "$SCRATCH/work"
err_has 'BraTS 2023, 3 cases'
out_has '3 preprocessed, 0 reused'
# Other numbers of labels are other prepared cases.
expect 0 "$VOLT" preprocess "$brats" --work "$SCRATCH/work" --target labels
out_has '0 preprocessed, 3 reused'
expect 0 "$VOLT" preprocess "$brats" --work "$SCRATCH/work" \
    --label-table 0=background,1=core,2=edema,3=enhancing
out_has '3 preprocessed, 0 reused'

expect 0 "$VOLT" import dataset "$brats" "$SCRATCH/Dataset137_BraTS"
out_has '3 cases with labels, 1 to predict; 16 files used unchanged, 3 rewritten'
expect 0 "$VOLT" check "$SCRATCH/Dataset137_BraTS"
out_has 'nnU-Net raw, 3 cases, 0 errors'
no_leftovers "$SCRATCH/Dataset137_BraTS"
[ "$before" = "$(fingerprint "$brats")" ] || fail "the data set was touched"
expect 10 "$VOLT" import dataset "$brats" "$SCRATCH/Dataset137_BraTS"
err_has 'already holds dataset.json'

# Trained on regions, one case lying otherwise; masks lie as their scans and have their numbers.
turned=$SCRATCH/turned/BraTS-GLI-00002-000
cp -r "$brats" "$SCRATCH/turned.all" && mkdir "$SCRATCH/turned" && mv "$SCRATCH/turned.all/Train"/* \
    "$SCRATCH/turned/"
for f in "$turned"/*.nii.gz; do
    "$VOLT" convert "$f" "$SCRATCH/one.nii.gz" --reorient LPS -q && mv "$SCRATCH/one.nii.gz" "$f"
done
expect 0 "$VOLT" dataset show "$SCRATCH/turned"
out_has 'orientations differ: 2 RAS .*, 1 LPS .*reoriented to RAS'
expect 0 "$VOLT" train "$SCRATCH/turned" -o "$SCRATCH/run" --work "$SCRATCH/turned-work" --fold all \
    --epochs 1 --iterations 2 --validation 1 --batch 1 -q
expect 0 "$VOLT" predict "$SCRATCH/run" "$turned" -o "$SCRATCH/masks" --no-mirror -q
expect 0 "$VOLT" info "$SCRATCH/masks/BraTS-GLI-00002-000.nii.gz"
out_has 'LPS'
expect 0 "$VOLT" evaluate "$SCRATCH/masks" "$SCRATCH/turned" --no-surface
out_has 'whole tumor'
expect 0 "$VOLT" predict "$SCRATCH/run" "$brats" -o "$SCRATCH/masks2" --no-mirror -q
exists "$SCRATCH/masks2/BraTS-GLI-00009-000.nii.gz"

# Defects are named.
mv "$brats/Train/BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2w.nii.gz" "$SCRATCH/away.nii.gz"
mv "$brats/Train/BraTS-GLI-00002-000/BraTS-GLI-00002-000-seg.nii.gz" \
    "$brats/Train/BraTS-GLI-00002-000/W39_Segm.nii.gz"
expect 10 "$VOLT" check "$brats" -q
out_has '^error: .*BraTS-GLI-00001-000-t2w.nii.gz'
out_has '^note: .*W39_Segm.nii.gz is taken as its labels'
err_one_line

# LiTS.
expect 0 "$VOLT" phantom liver "$SCRATCH/liver" --cases 2 --size 24 --seed 3 -q
lits=$SCRATCH/lits
mkdir -p "$lits/Training Batch 1"
n=0
for f in "$SCRATCH"/liver/labelsTr/*.nii.gz; do
    image=$SCRATCH/liver/imagesTr/$(basename "$f" .nii.gz)_0000.nii.gz
    "$VOLT" convert "$image" "$lits/Training Batch 1/volume-$n.nii" -q
    "$VOLT" convert "$f" "$lits/Training Batch 1/segmentation-$n.nii" --labels -q
    n=$((n + 1))
done
expect 0 "$VOLT" dataset show "$lits" --target regions
out_has 'LiTS$'
out_has 'liver +1,2; 1'
expect 0 "$VOLT" plan "$lits" --work "$SCRATCH/lits-work" -q
expect 0 "$VOLT" import dataset "$lits" "$SCRATCH/Dataset017_Liver" --copy
out_has '4 files used unchanged, 0 rewritten'
[ -z "$(find "$SCRATCH/Dataset017_Liver" -type l)" ] || fail "--copy made links"

# Two folders.
expect 0 "$VOLT" check --images "$SCRATCH/liver/imagesTr" --labels "$SCRATCH/liver/labelsTr"
out_has 'two folders, 2 cases, 0 errors'
expect 0 "$VOLT" plan --images "$SCRATCH/liver/imagesTr" --labels "$SCRATCH/liver/labelsTr" \
    --work "$SCRATCH/pairs-work" -q
# Masks named after the images find labels with other but matching names.
mkdir -p "$SCRATCH/pairs/scans" "$SCRATCH/pairs/labels" "$SCRATCH/pairs/masks"
for f in "$SCRATCH"/liver/labelsTr/*.nii.gz; do
    number=$(basename "$f" .nii.gz | tr -cd 0-9)
    cp "$f" "$SCRATCH/pairs/labels/mask_${number}_seg.nii.gz"
    cp "$f" "$SCRATCH/pairs/masks/scan-$number.nii.gz"
    cp "$f" "$SCRATCH/pairs/scans/scan-$number.nii.gz"
done
expect 10 "$VOLT" evaluate "$SCRATCH/pairs/masks" "$SCRATCH/pairs/labels" -q
err_has 'has no truth'
expect 0 "$VOLT" evaluate "$SCRATCH/pairs/masks/" "$SCRATCH/pairs/labels/" \
    --images "$SCRATCH/pairs/scans/"
out_has 'mean over classes  *1\.0000'
expect 2 "$VOLT" check "$lits" --images "$SCRATCH/liver/imagesTr" --labels "$SCRATCH/x"
err_has 'not both'
expect 2 "$VOLT" check --images "$SCRATCH/liver/imagesTr"
err_has 'without a folder of labels'
expect 2 "$VOLT" check
err_has 'too few arguments'
expect 2 "$VOLT" check "$lits" --label-thresholds 40,x
err_has "'x' in '40,x' is not a number"
expect 2 "$VOLT" check "$lits" --label-thresholds 40
err_has '1 label threshold defines 2 labels'
expect 2 "$VOLT" check "$lits" --layout dicom
err_has "unknown layout 'dicom'; the layouts are "
expect 10 "$VOLT" check "$lits" --layout nnunet
err_has 'holds no dataset.json'
done_testing
