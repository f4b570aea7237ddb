#!/bin/bash
# volt train --validate: the cases left out are predicted and scored at the end, exactly as by
# volt predict --validation and volt evaluate; killed at any time it goes on; best takes it up.
. "$3/tests/cli/common.inc"

make_data 6 24
data=$SCRATCH/data work=$SCRATCH/work
train=("$VOLT" train "$data" --work "$work" --threads 2 --precision fp32 --batch 2 --epochs 1
    --iterations 4 --validation 1)
run=$SCRATCH/run

# Folds in turn; the masks and scores are those of the two other commands.
expect 2 "${train[@]}" -o "$run" --save-probabilities -q
err_has 'requires --validate'
absent "$run"
expect 0 "${train[@]}" -o "$run" --folds 0-1 --validate --save-probabilities --json -q
out_json run folds
grep -q '"validation":{"cases":' "$OUT" || fail "no validation in the JSON"
cp -r "$run" "$SCRATCH/by_hand"
rm -r "$SCRATCH"/by_hand/fold_*/validation
expect 0 "$VOLT" predict "$SCRATCH/by_hand" --validation "$data" --work "$work" --threads 2 \
    --precision fp32 --save-probabilities -q
for fold in 0 1; do
    made=$run/fold_$fold/validation
    exists "$made/summary.json"
    for file in "$SCRATCH/by_hand/fold_$fold/validation"/*; do
        expect 0 cmp "$file" "$made/$(basename "$file")"
    done
    expect 0 "$VOLT" evaluate "$made" "$data" -o "$SCRATCH/summary.json" -q
    expect 0 cmp "$SCRATCH/summary.json" "$made/summary.json"
done

# Only cases that the network did not train on: other splits are refused, and none are written.
cp -r "$data" "$SCRATCH/bare"
sed 's/"train"/"other"/; s/"val"/"train"/; s/"other"/"val"/' "$work/splits_final.json" >"$SCRATCH/bare/splits_final.json"
expect 10 "$VOLT" predict "$SCRATCH/by_hand" --validation "$SCRATCH/bare" -q
err_has 'by_hand/fold_0 was trained on another split than fold 0 of .*bare; .*--work$'
rm "$SCRATCH/bare/splits_final.json"
expect 0 "$VOLT" predict "$SCRATCH/by_hand" --validation "$SCRATCH/bare" --folds 1 -q # nnU-Net's folds
absent "$SCRATCH/bare/volt"

# What compares and post-processes takes them as they are.
fingerprint "$run" >"$SCRATCH/before"
expect 0 "$VOLT" best "$run" --truth "$data" -o "$SCRATCH/best"
out_has '^predict with it'
fingerprint "$run" >"$SCRATCH/after"
expect 0 cmp "$SCRATCH/before" "$SCRATCH/after"
expect 0 "$VOLT" postprocess find "$run/fold_0/validation" "$data/labelsTr" -q

# Once more: finished folds and masks are left alone.
expect 0 "${train[@]}" -o "$run" --folds 0-1 --resume --validate --save-probabilities
err_has 'skipping ([0-9]+) of \1 cases'
out_has 'fold_1/validation: [0-9]+ cases?, mean Dice 0\.'

# Another network's masks are not taken for this one's.
expect 0 "${train[@]}" -o "$SCRATCH/one" --fold 0 --validate
out_has 'one/validation: [0-9]+ cases?, mean Dice'
mask=$(ls "$SCRATCH"/one/validation/*.nii.gz | head -1)
cksum <"$mask" >"$SCRATCH/mask.a"
expect 0 "${train[@]}" -o "$SCRATCH/one" --fold 0 --resume --epochs 2
expect 0 "${train[@]}" -o "$SCRATCH/one" --fold 0 --resume --epochs 2 --validate
! grep -q 'skipping ' "$ERR" || fail "masks of the shorter training were kept"
cksum <"$mask" >"$SCRATCH/mask.b"
! cmp -s "$SCRATCH/mask.a" "$SCRATCH/mask.b" || fail "the longer training has the same mask"
expect 0 "$VOLT" best "$SCRATCH/one" --truth "$data" -o "$SCRATCH/alone" -q

# Killed while it trains, as the validation begins and after its first and second of three masks:
# --resume ends with the same files.
data=$SCRATCH/more
expect 0 "$VOLT" phantom brats "$data" --cases 15 --size 24 --seed 5 -q
train=("$VOLT" train "$data" --work "$SCRATCH/work_more" --threads 2 --precision fp32 --batch 2
    --epochs 1 --iterations 4 --validation 1)
whole=$SCRATCH/whole
expect 0 "${train[@]}" -o "$whole" --fold 1 --validate -q
killed=$SCRATCH/killed
training() { [ -e "$killed/checkpoint_latest.safetensors" ]; }
validating() { [ -d "$killed/validation" ]; }
written() { count "$killed"/validation/*.nii.gz && [ $COUNT -ge $wanted ]; }
finished() { [ -e "$killed/validation/summary.json" ]; }
reset() { rm -rf "$killed"; }
forget() { rm -rf "$killed/validation"; }
resume=("${train[@]}" -o "$killed" --fold 1 --resume --validate -q)
kill_between training validating reset "${resume[@]}"
wanted=1
kill_between validating written forget "${resume[@]}"
for wanted in 1 2; do
    kill_between written finished forget "${resume[@]}"
done
expect 0 "${train[@]}" -o "$killed" --fold 1 --resume --validate -q
for file in "$whole"/validation/*.nii.gz; do
    expect 0 cmp "$file" "$killed/validation/$(basename "$file")"
done
exists "$killed/validation/summary.json"
no_leftovers "$killed/validation"
done_testing
