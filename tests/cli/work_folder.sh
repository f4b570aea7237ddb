#!/bin/bash
# The work folder belongs to one data set: fingerprint, plan, folds and preprocessed cases of
# another one, or of one that has changed, are not used without a word; a moved one keeps them.
. "$3/tests/cli/common.inc"

# make FOLDER SEED: five cases of one size and one channel.
make() {
    expect 0 "$VOLT" phantom brats "$1" --cases 5 --size 16 --seed "$2" -q
    rm "$1"/imagesTr/*_000[123].nii.gz
    tr -d '\n' <"$1/dataset.json" | sed -E 's/"channel_names": \{[^}]*\}/"channel_names": {"0": "T1"}/' \
        >"$SCRATCH/one.json"
    mv "$SCRATCH/one.json" "$1/dataset.json"
}

data=$SCRATCH/a work=$SCRATCH/work
make "$data" 1
make "$SCRATCH/b" 2

# What extracting it anew gives.
expect 0 "$VOLT" plan "$data" --work "$SCRATCH/work_a" -q
expect 0 "$VOLT" plan "$SCRATCH/b" --work "$SCRATCH/work_b" -q

is_of() {
    cmp -s "$work/dataset_fingerprint.json" "$1/dataset_fingerprint.json" ||
        fail "the fingerprint is not that of $1"
}

# Two data sets with the same numbers of cases and channels, one after the other.
expect 0 "$VOLT" preprocess "$data" --work "$work" -q
err_is ''
is_of "$SCRATCH/work_a"
expect 0 "$VOLT" preprocess "$SCRATCH/b" --work "$work" -q
err_has 'dataset_fingerprint.json is of other cases or channels than .*/b has; it is extracted again'
err_has 'plans.json was planned for other cases or channels than .*/b has.*--replan'
out_has '5 preprocessed, 0 reused'
is_of "$SCRATCH/work_b"
cmp -s "$work/plans.json" "$SCRATCH/work_a/plans.json" || fail "the plan was replaced"

# The plan is still the other's, and that is said each time.
expect 0 "$VOLT" preprocess "$SCRATCH/b" --work "$work" -q
err_has 'plans.json was planned for other cases or channels than .*/b has'
[ "$(wc -l <"$ERR")" -eq 1 ] || fail "more than one warning"
out_has '0 preprocessed, 5 reused'
expect 0 env VOLT_WORK="$work" "$VOLT" plan "$SCRATCH/b" --replan -q
err_is ''
cmp -s "$work/plans.json" "$SCRATCH/work_b/plans.json" || fail "the plan was not replaced"
expect 0 env VOLT_WORK="$work" "$VOLT" plan "$SCRATCH/b" -q
err_is ''
expect 0 env VOLT_WORK="$work" "$VOLT" plan "$data" -q
err_has 'dataset_fingerprint.json is of other cases'
err_has 'plans.json was planned for other cases'

# A case replaced by another file; other labels; files of the same size.
rm -rf "$work"
cp -r "$data" "$SCRATCH/c"
expect 0 "$VOLT" plan "$SCRATCH/c" --work "$work" -q
is_of "$SCRATCH/work_a"
first=$(find "$SCRATCH/c/imagesTr" -type f | sort | head -n 1)
label=$(find "$SCRATCH/c/labelsTr" -type f | sort | head -n 1)
replaced() {
    expect 0 "$VOLT" plan "$SCRATCH/c" --work "$work" -q
    err_has 'dataset_fingerprint.json is of other cases'
    err_has 'plans.json was planned for other cases'
    expect 0 "$VOLT" plan "$SCRATCH/c" --work "$work" --replan -q
    err_is ''
}
cp "$SCRATCH/b/imagesTr/${first##*/}" "$first"
replaced
cp "$SCRATCH/b/labelsTr/${label##*/}" "$label"
replaced
mkdir "$SCRATCH/plain" "$SCRATCH/plain/imagesTr" "$SCRATCH/plain/labelsTr"
sed 's/\.nii\.gz/.nii/' "$data/dataset.json" >"$SCRATCH/plain/dataset.json"
for file in imagesTr labelsTr; do
    for from in "$data/$file"/*; do
        name=${from##*/}
        gzip -dc "$from" >"$SCRATCH/plain/$file/${name%.gz}"
    done
done
first=$SCRATCH/plain/imagesTr/$(basename "${first%.gz}")
gzip -dc "$SCRATCH/b/imagesTr/$(basename "$first").gz" >"$SCRATCH/other.nii"
[ "$(stat -c %s "$first")" -eq "$(stat -c %s "$SCRATCH/other.nii")" ] || fail "the sizes differ"
rm -rf "$work"
expect 0 "$VOLT" plan "$SCRATCH/plain" --work "$work" -q
cp "$SCRATCH/other.nii" "$first"
expect 0 "$VOLT" plan "$SCRATCH/plain" --work "$work" -q
err_has 'dataset_fingerprint.json is of other cases'

# The voxels of a header, in a file of their own.
sed 's/\.nii\.gz/.mhd/' "$data/dataset.json" >"$SCRATCH/mhd.json"
mkdir -p "$SCRATCH/mhd/imagesTr" "$SCRATCH/mhd/labelsTr"
cp "$SCRATCH/mhd.json" "$SCRATCH/mhd/dataset.json"
if "$VOLT" convert "$first" "$SCRATCH/try.mhd" -q 2>/dev/null; then # ITK is there
    for from in "$data"/imagesTr/*; do
        name=$(basename "$from" _0000.nii.gz)
        "$VOLT" convert "$from" "$SCRATCH/mhd/imagesTr/${name}_0000.mhd" -q
        "$VOLT" convert "$data/labelsTr/$name.nii.gz" "$SCRATCH/mhd/labelsTr/$name.mhd" --labels -q
    done
    expect 0 "$VOLT" plan "$SCRATCH/mhd" --work "$SCRATCH/work_mhd" -q
    voxels=$(find "$SCRATCH/mhd/imagesTr" -name '*raw' | sort)
    cp "$(tail -n 1 <<<"$voxels")" "$(head -n 1 <<<"$voxels")"
    expect 0 "$VOLT" plan "$SCRATCH/mhd" --work "$SCRATCH/work_mhd" -q
    err_has 'dataset_fingerprint.json is of other cases'
fi

# A data set that was moved, also one without a name of its own, is the same one.
sed -i -E 's/"name": "[^"]*", *//' "$data/dataset.json"
rm -rf "$work"
expect 0 "$VOLT" preprocess "$data" --work "$work" -q
before=$(fingerprint "$work")
mv "$data" "$SCRATCH/moved"
expect 0 "$VOLT" preprocess "$SCRATCH/moved" --work "$work"
out_has '0 preprocessed, 5 reused'
! grep -qE 'extracting|other cases|planned for|checking' "$ERR" || fail "something was done again"
[ "$before" = "$(fingerprint "$work")" ] || fail "the work folder has changed"
cp -r "$SCRATCH/moved" "$SCRATCH/copied" # with other modification times
expect 0 "$VOLT" plan "$SCRATCH/copied" --work "$work" -q
err_is ''

# Files of nnU-Net, which have no key, are taken as before; the key can only be one.
sed -i -E 's/"volt_data_key": "[0-9a-f]{16}"/"unknown": 0/' "$work/dataset_fingerprint.json" \
    "$work/plans.json"
[ "$(grep -c '"unknown"' "$work/dataset_fingerprint.json")" -eq 1 ] || fail "there was no key"
[ "$(grep -c '"unknown"' "$work/plans.json")" -eq 1 ] || fail "there was no key in the plan"
expect 0 "$VOLT" plan "$SCRATCH/b" --work "$work" -q
! grep -q 'fingerprint' "$ERR" || fail "a fingerprint without a key was not taken"
sed -i 's/"spacings"/"volt_data_key": "12", "spacings"/' "$work/dataset_fingerprint.json"
expect 0 "$VOLT" plan "$SCRATCH/moved" --work "$work" -q # damaged: extracted again
is_of "$SCRATCH/work_a"
sed -i 's/"plans_name"/"volt_data_key": "x", "plans_name"/' "$work/plans.json"
expect 5 "$VOLT" plan "$SCRATCH/moved" --work "$work" -q
err_is "volt: $work/plans.json: volt_data_key is \"x\"; 16 hexadecimal digits are expected"

# Folds that were written for other cases: only those that these would not get are worth a word.
train=(--work "$work" --recipe fast --epochs 1 --iterations 1 --validation 1 -q)
rm -rf "$work"
expect 0 "$VOLT" train "$SCRATCH/moved" -o "$SCRATCH/run1" "${train[@]}"
expect 0 "$VOLT" train "$SCRATCH/b" -o "$SCRATCH/run2" "${train[@]}"
! grep -q splits_final "$ERR" || fail "folds were named that are the data set's own"
ids=$(find "$SCRATCH/b/labelsTr" -type f -printf '%f\n' | sort | sed 's/\.nii\.gz$//')
printf '[{"train": ["%s", "%s", "%s", "%s"], "val": ["%s"]}]\n' $ids >"$work/splits_final.json"
expect 0 "$VOLT" train "$SCRATCH/b" -o "$SCRATCH/run3" "${train[@]}"
err_has 'splits_final.json was written for other cases than .*/b has; its folds are used as they are'
expect 0 "$VOLT" train "$SCRATCH/b" -o "$SCRATCH/run4" "${train[@]}" --fold all
! grep -q splits_final "$ERR" || fail "folds were named that are not used"
done_testing
