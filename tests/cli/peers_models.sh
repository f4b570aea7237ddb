#!/bin/bash
# nnU-Net loads an exported folder strictly, ONNX Runtime and OpenVINO an exported model, and all
# compute the same: testdata/scripts/check_exports.py by the Python of $PYTHON (default python3). Every other
# kind of network goes out as ONNX and as weights, from which PyTorch computes the same: check_onnx.py.
. "$3/tests/cli/common.inc"

check=$SOURCE/testdata/scripts/check_exports.py
for name in resampled anisotropic flat; do
    model=$SOURCE/testdata/models/$name
    expect 0 "$VOLT" import model "$model/model" "$SCRATCH/$name" -q
    expect 0 "$VOLT" export model "$SCRATCH/$name" --format nnunet -o "$SCRATCH/$name.folder"
    expect 0 "$VOLT" export model "$SCRATCH/$name" --format onnx -o "$SCRATCH/$name.onnx"
    "${PYTHON:-python3}" "$check" "$SCRATCH/$name.folder" "$SCRATCH/$name.onnx" "$model/model" \
        "$model/scan_0000.nii.gz" "$model/plain.nii.gz" >"$OUT" 2>"$ERR"
    code=$?
    CHECKS=$((CHECKS + 1))
    grep -E '^(ok|FAIL|skipped)' "$OUT"
    [ $code -ne 77 ] || exit 77
    [ $code -eq 0 ] || { fail "$name: what was exported is not the same" && tail -5 "$ERR"; }
done

# onnx NAME RUN: ONNX and PyTorch agree about the network of RUN.
onnx() {
    expect 0 "$VOLT" export model "$2" --format onnx -o "$SCRATCH/$1.onnx" -q
    expect 0 "$VOLT" export model "$2" --format safetensors -o "$SCRATCH/$1.safetensors" -q
    "${PYTHON:-python3}" "$SOURCE/testdata/scripts/check_onnx.py" "$SCRATCH/$1.onnx" "$SCRATCH/$1.safetensors" \
        >"$OUT" 2>"$ERR"
    code=$?
    CHECKS=$((CHECKS + 1))
    sed "s/^/$1: /" "$OUT"
    [ $code -ne 77 ] || exit 77
    [ $code -eq 0 ] || { fail "$1: ONNX is not the same" && tail -5 "$ERR"; }
}

for name in residual regions; do
    expect 0 "$VOLT" import model "$SOURCE/testdata/models/$name/model" "$SCRATCH/$name" -q
    onnx $name "$SCRATCH/$name"
done
for name in monai_batch monai_2d monai_dynunet; do
    model=$SOURCE/testdata/models/$name
    expect 0 "$VOLT" import model "$model/weights.pt" "$SCRATCH/$name" -q \
        --plans "$model/plans.json" --dataset "$model/dataset.json"
    onnx $name "$SCRATCH/$name"
done

# What nnU-Net has no model of here: the second network of a cascade, neighbouring slices, whole cases.
make_data 4 32
data=$SCRATCH/data work=$SCRATCH/work
expect 0 "$VOLT" plan "$data" --work "$work" --add 2p5d -q
expect 0 "$VOLT" plan "$data" --work "$work" --add 3d_whole -q
sed -i -e 's/"3d_fullres": {/"fine": {"inherits_from": "3d_fullres", "previous_stage": "coarse"},\
        "coarse": {"inherits_from": "3d_fullres", "data_identifier": "coarse", "spacing": [2.2, 2.1, 2.3], "next_stage": "fine"},\
        &/' -e '/"features_per_stage"/,/\]/s/[0-9][0-9]*/4/' "$work/plans.json"
short="--epochs 1 --iterations 2 --validation 1 --work $work -q"
for name in coarse 2p5d 3d_whole; do
    expect 0 "$VOLT" train "$data" -o "$SCRATCH/$name" -c $name $short
    onnx $name "$SCRATCH/$name"
done
expect 0 "$VOLT" train "$data" -o "$SCRATCH/fine" -c fine --previous "$SCRATCH/coarse" $short
onnx fine "$SCRATCH/fine"
done_testing
