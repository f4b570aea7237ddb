#!/bin/bash
# Every command compares what it will need with the memory it may use: one sentence, exit 3,
# nothing created.
. "$3/tests/cli/common.inc"

if "$VOLT" version --json 2>/dev/null | grep -q address || nm "$VOLT" 2>/dev/null | grep -q __asan_init; then
    echo "skipped: AddressSanitizer needs unlimited address space"
    exit 77
fi

# limited KIB COMMAND...: under a limit of the address space.
limited() {
    local kib=$1
    shift
    (ulimit -v "$kib" && exec "$@")
}
# refuses COMMAND...: within 1.5 GB; the sentence gives what is needed and what there is.
refuses() {
    expect 3 limited 1500000 "$@"
    err_one_line
    err_has ' needs [0-9.]+ [MG]iB of memory, but only [0-9.]+ [MG]iB is available'
    absent "$SCRATCH"/no*
}

make_data 6 32
data=$SCRATCH/data
scan=$data/imagesTr/brats_001_0000.nii.gz
truth=$data/labelsTr/brats_001.nii.gz
expect 0 "$VOLT" preprocess "$data" -c 3d_fullres -q
case=$data/volt/nnUNetPlans_3d_fullres/brats_001.voltcase

refuses "$VOLT" augment "$scan" -o "$SCRATCH/no" -n 1 --patch 700,700,700
refuses "$VOLT" augment "$case" -o "$SCRATCH/no" -n 1 --patch 700,700,700
refuses "$VOLT" phantom brats "$SCRATCH/no" --cases 1 --size 1024
refuses "$VOLT" phantom liver "$SCRATCH/no" --cases 1 --size 1024
refuses "$VOLT" bench augment --patch 600,600,600
refuses "$VOLT" bench ops --only conv_fwd --extent 512,512,512 --in 32 --out 32
refuses "$VOLT" bench volume "$scan" --shape 1200,1200,1200 --repeat 1
refuses "$VOLT" convert "$scan" "$SCRATCH/no.nii" --spacing 0.1,0.1,0.1
refuses "$VOLT" convert "$truth" "$SCRATCH/no.nii" --labels --spacing 0.1,0.1,0.1

# Training: a batch that does not fit. Preprocessing, prediction: a plan of tiny voxels.
refuses "$VOLT" train "$data" -o "$SCRATCH/no" -c 3d_fullres --batch 600 --epochs 1 --recipe fast \
    -q
expect 0 "$VOLT" train "$data" -o "$SCRATCH/run" -c 3d_fullres --recipe fast --epochs 1 \
    --iterations 1 --validation 1 -q
expect 0 "$VOLT" predict "$SCRATCH/run" "$data/imagesTr" -o "$SCRATCH/masks" -q
expect 0 "$VOLT" export model "$SCRATCH/run" -o "$SCRATCH/theirs" --format nnunet -q
sed -i 's/7\.5/0.05/' "$data/volt/plans.json" "$SCRATCH/theirs/plans.json"
refuses "$VOLT" preprocess "$data" -c 3d_fullres --overwrite -q
err_has '^volt: case brats_00[1-6], the largest of data: this needs '
expect 0 "$VOLT" import model "$SCRATCH/theirs" "$SCRATCH/fine" -q
refuses "$VOLT" predict "$SCRATCH/fine" "$data/imagesTr" -o "$SCRATCH/no" -q

# Files that are large themselves, under limits that end at different places.
expect 0 "$VOLT" convert "$truth" "$SCRATCH/truth.nii.gz" --labels --spacing 0.5,0.5,0.5 -q
expect 0 "$VOLT" convert "$scan" "$SCRATCH/scan.nii.gz" --spacing 0.5,0.5,0.5 -q
mkdir "$SCRATCH/scans"
for i in 0 1 2 3; do cp "$SCRATCH/scan.nii.gz" "$SCRATCH/scans/a_000$i.nii.gz"; done
for kib in 120000 180000 250000; do
    for command in "evaluate truth.nii.gz truth.nii.gz -o no.json" "snapshot scan.nii.gz truth.nii.gz -o no.png" \
        "convert scan.nii.gz no.nii --spacing 0.4,0.4,0.4" "augment scan.nii.gz -o no" \
        "predict run scans -o no"; do
        COMMAND="$command in $kib KiB"
        # shellcheck disable=SC2086
        (cd "$SCRATCH" && limited $kib "$VOLT" $command -q >"$OUT" 2>"$ERR")
        code=$?
        [ $code -eq 3 ] || fail "exit status $code, expected 3"
        err_one_line
        err_has 'memory'
        absent "$SCRATCH"/no*
        rm -rf "$SCRATCH"/no*
    done
done
no_leftovers "$SCRATCH"
done_testing
