#!/bin/bash
# nnU-Net loads an exported folder strictly, ONNX Runtime and OpenVINO an exported model, and all
# compute the same: testdata/scripts/check_exports.py by the Python of $PYTHON (default python3).
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
done_testing
