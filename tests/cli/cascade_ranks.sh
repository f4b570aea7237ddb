#!/bin/bash
# A cascade under mpirun: the prior masks are dealt out to the ranks, with the files of one rank,
# and both stages train as on one rank.
. "$3/tests/cli/common.inc"
. "$3/tests/cli/mpi.inc"

make_data 3
data=$SCRATCH/data work=$SCRATCH/work low=$SCRATCH/low
masks=3d_cascade_fullres_previous

expect 0 "$VOLT" plan "$data" --work "$work" -q
sed -i -e 's/"3d_fullres": {/"3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"},\
        "3d_lowres": {"inherits_from": "3d_fullres", "data_identifier": "coarse", "spacing": [19, 17, 21], "next_stage": "3d_cascade_fullres"},\
        &/' -e '/"features_per_stage"/,/\]/s/[0-9][0-9]*/4/' "$work/plans.json"
short=(--epochs 1 --iterations 3 --validation 1 --batch 2 --optimizer sgd --threads 1 -q)
train() { expect "$1" "$VOLT" train "$data" "${@:2}" "${short[@]}"; }
losses() { grep -oE '"(train|validation)_loss": *[-0-9.e]+' "$1/log.jsonl" | grep -oE '[-0-9.e]+$'; }
# same_losses ONE RUN: to 1e-4.
same_losses() {
    [ "$(losses "$1" | wc -l)" -eq 2 ] || fail "$1 has no losses"
    paste <(losses "$1") <(losses "$2") |
        awk '{ d = $1 - $2; if (d < 0) d = -d; if (NF != 2 || d > 1e-4) exit 1 }' || fail "$2: other losses"
}

# The low resolution, on one rank and split.
train 0 -o "$low" -c 3d_lowres --folds 0-2 --precision fp32 --work "$work"
train 0 -o "$SCRATCH/split" -c 3d_lowres --precision fp32 --work "$work" --ranks 2 --mesh z=2
same_losses "$low/fold_0" "$SCRATCH/split"

# The second stage, with masks of one rank.
expect 0 cp -rp "$work" "$SCRATCH/shared"
fine=(-c 3d_cascade_fullres --previous "$low" --precision fp32)
train 0 -o "$SCRATCH/one" "${fine[@]}" --work "$work"

# Rank 1 makes the second mask, of the case that fold 1 holds out: it names what it cannot write.
case=$(tr -d ' \n' <"$work/splits_final.json" | grep -oE '"val":\["[^"]*' | sed -n '2s/.*"//p')
[ -n "$case" ] || fail "no case of fold 1 is found"
mkdir -p "$SCRATCH/shared/$masks/$case.voltcase/x"
expect 4 ranks 2 "$VOLT" train "$data" -o "$SCRATCH/never" "${fine[@]}" --work "$SCRATCH/shared" --mesh data=2 "${short[@]}"
[ "$(grep -c '^volt: ' "$ERR")" -eq 1 ] || fail "not one rank says what is wrong"
err_has "^volt: rank 1 \\(.*\\): .*$case.voltcase: Is a directory\$"
rm -r "$SCRATCH/shared/$masks"

for mesh in data=2 z=2; do
    expect 0 ranks 2 "$VOLT" train "$data" -o "$SCRATCH/$mesh" "${fine[@]}" --work "$SCRATCH/shared" --mesh $mesh "${short[@]}"
    same_losses "$SCRATCH/one" "$SCRATCH/$mesh"
done
[ "$(find "$SCRATCH/shared/$masks" -name '*.voltcase' | wc -l)" -eq 3 ] || fail "not every case has a mask"
for mask in "$work/$masks"/*.voltcase; do
    cmp -s "$mask" "${mask/"$work"/"$SCRATCH/shared"}" || fail "$mask differs"
done
no_leftovers "$SCRATCH/shared"

# Masks from files, which one rank has predicted.
expect 0 "$VOLT" predict "$low" "$data/imagesTr" -o "$SCRATCH/files" --no-mirror --precision fp32 -q
fine=(-c 3d_cascade_fullres --previous "$SCRATCH/files" --precision fp32)
expect 0 "$VOLT" preprocess "$data" -c 3d_cascade_fullres --previous "$SCRATCH/files" --work "$work" -q
expect 0 ranks 2 "$VOLT" train "$data" -o "$SCRATCH/from_files" "${fine[@]}" --work "$SCRATCH/shared" --mesh data=2 "${short[@]}"
for mask in "$work/$masks"/*.voltcase; do
    cmp -s "$mask" "${mask/"$work"/"$SCRATCH/shared"}" || fail "$mask of a file differs"
done
done_testing
