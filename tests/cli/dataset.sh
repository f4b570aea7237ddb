#!/bin/bash
# volt check, plan, preprocess: findings named, results kept, the data set untouched.
. "$3/tests/cli/common.inc"

make_data 3
data=$SCRATCH/data work=$SCRATCH/work
before=$(fingerprint "$data")

expect 0 "$VOLT" check "$data" --json
out_json dataset layout cases errors warnings findings
expect 0 "$VOLT" plan "$data" --work "$work"
out_has '^  3d_fullres \(plain U-Net\)$'
out_has "^saved in $work"
exists "$work/plans.json"
exists "$work/dataset_fingerprint.json"
expect 0 "$VOLT" plan "$data" --work "$work" --json -q
err_is ''
expect 0 "$VOLT" preprocess "$data" --work "$work" -q
out_has '3 preprocessed, 0 reused'
first=$(fingerprint "$work")
expect 0 "$VOLT" preprocess "$data" --work "$work" --json
out_json configuration folder cases preprocessed reused
[ "$first" = "$(fingerprint "$work")" ] || fail "the second run changed the work folder"
[ "$before" = "$(fingerprint "$data")" ] || fail "the data set was touched"
no_leftovers "$work"

# A damaged case file is made again, the others are kept.
case=$(find "$work" -name '*.voltcase' | sort | head -n 1)
head -c 1000 "$case" >"$SCRATCH/cut" && cp "$SCRATCH/cut" "$case"
expect 0 "$VOLT" preprocess "$data" --work "$work"
out_has '1 preprocessed, 2 reused'

# Without --work the folder is DATASET/volt.
cp -r "$data" "$SCRATCH/own"
expect 0 "$VOLT" plan "$SCRATCH/own" -q
exists "$SCRATCH/own/volt/plans.json"

# A data set that cannot be written: the user's cache folder, and the path is told.
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
    chmod -R a+rX "$SCRATCH" && mkdir -p "$SCRATCH/home" && chmod 777 "$SCRATCH/home"
    if setpriv --reuid=65534 --clear-groups test -x "$VOLT" -a -r "$data/dataset.json" \
        2>/dev/null; then
        expect 0 setpriv --reuid=65534 --clear-groups env HOME="$SCRATCH/home" \
            XDG_CACHE_HOME="$SCRATCH/home/cache" "$VOLT" plan "$data"
        err_has "$SCRATCH/home/cache/volt"
        [ ! -e "$data/volt" ] || fail "something was written into a read-only data set"
    fi
fi

# Every mistake is found in one run.
bad=$SCRATCH/bad
cp -r "$data" "$bad"
rm "$bad/imagesTr/brats_001_0002.nii.gz"
"$VOLT" convert "$data/labelsTr/brats_002.nii.gz" "$bad/labelsTr/brats_002.nii.gz" --labels \
    --spacing 20,20,20
expect 10 "$VOLT" check "$bad" -q
out_has '^error: .*brats_001_0002'
out_has '^error: .*brats_002'
err_one_line
expect 10 "$VOLT" train "$bad" -o "$SCRATCH/run" --work "$SCRATCH/work2"
err_has '^error: .*brats_001_0002'
err_has '^error: .*brats_002'
err_has '^volt: .*more error'
absent "$SCRATCH/run"
rm "$bad/dataset.json"
expect 10 "$VOLT" check "$bad"
err_has 'holds no dataset.json'
expect 4 "$VOLT" check "$SCRATCH/nowhere"
err_one_line
printf '{"labels": {"background": 0' >"$bad/dataset.json"
expect 5 "$VOLT" check "$bad"
err_has 'dataset.json'

# A plan edited into nonsense is refused by key.
sed -i 's/"batch_size": [0-9]*/"batch_size": -3/' "$work/plans.json"
expect 5 "$VOLT" plan "$data" --work "$work"
err_has 'plans.json: .*batch_size.* -3'
done_testing
