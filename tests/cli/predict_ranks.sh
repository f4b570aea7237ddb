#!/bin/bash
# volt predict --ranks: the files and messages of one rank, for whole cases, rows of tiles and parts
# of whole scans; damaged cases among good ones; cascades; calls that cannot be.
. "$3/tests/cli/common.inc"

make_data 5 24
data=$SCRATCH/data run=$SCRATCH/run in=$SCRATCH/in work=$SCRATCH/work
train=("$VOLT" train "$data" --work "$work" --threads 1 --precision fp32 --batch 2 --epochs 1
    --iterations 1 --validation 1 -q)
expect 0 "${train[@]}" -o "$run" --fold all
fast=(--precision fp32 --threads 1)
# A case whose header is damaged, one whose voxels are.
mkdir "$in"
cp "$data"/imagesTr/* "$in"
for c in 0 1 2 3; do
    cp "$data/imagesTr/brats_001_000$c.nii.gz" "$in/a_voxels_000$c.nii.gz"
    echo nothing >"$in/z_header_000$c.nii.gz"
done
head -c 400 "$data/imagesTr/brats_001_0002.nii.gz" >"$in/a_voxels_0002.nii.gz"

# same FOLDER FOLDER: the same files; probabilities may differ by rounding, so they are not compared.
same() {
    diff <(cd "$1" && find . -type f | sort) <(cd "$2" && find . -type f | sort) || fail "other files in $2"
    (cd "$1" && find . -type f ! -name '*.npz' -print0) |
        while IFS= read -r -d '' file; do cmp -s "$1/$file" "$2/$file" || echo "$file"; done >"$SCRATCH/differ"
    [ ! -s "$SCRATCH/differ" ] || fail "$2 differs from $1: $(head -3 "$SCRATCH/differ" | tr '\n' ' ')"
}
# plain JSON: without what depends on the clock, on memory and on the folder.
plain() { sed -E 's/"(output|seconds|network_s|read_wait_s|announced_bytes|peak_bytes)": ?[^,}]*,? ?//g' "$1"; }

options=("${fast[@]}" --save-probabilities --separate-regions)
expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/one" "${options[@]}" --json -q
plain "$OUT" >"$SCRATCH/json"
grep -v warning "$ERR" >"$SCRATCH/said"
expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/whole" "${options[@]}" --whole --json -q
for mesh in '2 cases' '3 cases' '4 tiles' '2 z=2' '4 z=2,y=2'; do
    set -- $mesh
    expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/many" "${options[@]}" --ranks $1 --mesh $2 --json -q
    plain "$OUT" | cmp - "$SCRATCH/json" || fail "$mesh: other JSON: $(cat "$OUT")"
    grep -v warning "$ERR" | cmp - "$SCRATCH/said" || fail "$mesh: other messages"
    case $2 in
    *=*) same "$SCRATCH/whole" "$SCRATCH/many" ;;
    *) same "$SCRATCH/one" "$SCRATCH/many" ;;
    esac
    no_leftovers "$SCRATCH/many"
    rm -r "$SCRATCH/many"
done
# By default cases, or tiles where there are fewer cases; progress of all cases; what exists is
# skipped.
expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/many" "${options[@]}" --ranks 2
out_has '^5 masks in .*/many, '
[ "$(grep -c '^case .* is left out: ' "$ERR")" -eq 2 ] || fail "not all ranks' cases are logged"
[ "$(grep -c '^memory: ' "$ERR")" -eq 1 ] || fail "not one rank says how much memory it takes"
same "$SCRATCH/one" "$SCRATCH/many"
rm "$SCRATCH/many/brats_002.nii.gz"
expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/many" "${options[@]}" --ranks 3 --skip-existing
err_has '^skipping 4 of 7 cases: all files exist$'
out_has '^1 mask in '
same "$SCRATCH/one" "$SCRATCH/many"
expect 0 "$VOLT" predict "$run" "$data"/imagesTr/brats_001_*.gz -o "$SCRATCH/single" "${options[@]}" --ranks 2
err_has '^memory of each other rank: '
cmp "$SCRATCH/single/brats_001.nii.gz" "$SCRATCH/one/brats_001.nii.gz" || fail "tiles differ"
# The whole scan in one piece, on one rank.
expect 0 "$VOLT" predict "$run" "$data"/imagesTr/brats_001_*.gz -o "$SCRATCH/z1" "${options[@]}" --mesh z=1
cmp "$SCRATCH/z1/brats_001.nii.gz" "$SCRATCH/whole/brats_001.nii.gz" || fail "--mesh z=1 is not --whole"

# All bad: nothing is described.
mkdir "$SCRATCH/bad"
cp "$in"/z_header_* "$SCRATCH/bad"
for c in 0 1 2 3; do cp "$in/z_header_000$c.nii.gz" "$SCRATCH/bad/y_000$c.nii.gz"; done
expect 5 "$VOLT" predict "$run" "$SCRATCH/bad" -o "$SCRATCH/none" "${fast[@]}" --ranks 2
err_has '^volt: none of the 2 cases was predicted'
absent "$SCRATCH/none/dataset.json"

# What cannot be.
for words in '3 z=2' '2 rows' '2 data=2' '2 z'; do
    set -- $words
    expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" "${fast[@]}" --ranks $1 --mesh $2
    err_has "^volt: "
    absent "$SCRATCH/never"
done
expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" "${fast[@]}" --ranks 2 --mesh tiles --whole
err_has 'no rows of tiles'
expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" "${fast[@]}" --mesh z=2
err_has 'z=2'
absent "$SCRATCH/never"

# More parts than a scan has voxels: which scan, and once.
for c in 0 1 2 3; do make_nifti "$SCRATCH/in/thin_000$c.nii" 9 8 2 0 i%7; done
expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" "${fast[@]}" --ranks 4 --mesh z=4
err_has 'in/thin_0000\.nii: [123] voxels? along z cannot be cut into 4 parts .* into [123] at most$'
absent "$SCRATCH/never"

# A run with folds, and the cases that they held out.
expect 0 "${train[@]}" -o "$SCRATCH/folds" --folds 0,1
expect 0 "$VOLT" predict "$SCRATCH/folds" "$data" -o "$SCRATCH/folds_one" "${fast[@]}" --no-mirror -q
expect 0 "$VOLT" predict "$SCRATCH/folds" "$data" -o "$SCRATCH/folds_two" "${fast[@]}" --no-mirror -q --ranks 2 --mesh tiles
same "$SCRATCH/folds_one" "$SCRATCH/folds_two"
expect 0 "$VOLT" predict "$SCRATCH/folds" --validation "$data" --work "$work" "${fast[@]}" -q
cp -r "$SCRATCH/folds" "$SCRATCH/folds_before"
rm -r "$SCRATCH"/folds/fold_*/validation
expect 0 "$VOLT" predict "$SCRATCH/folds" --validation "$data" --work "$work" "${fast[@]}" -q --ranks 2
for k in 0 1; do same "$SCRATCH/folds_before/fold_$k/validation" "$SCRATCH/folds/fold_$k/validation"; done
done_testing
