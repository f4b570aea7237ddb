#!/bin/bash
# volt predict under mpirun: processes predict what one rank does, one of them speaks, and they end
# together.
. "$3/tests/cli/common.inc"
. "$3/tests/cli/mpi.inc"

make_data 3 24
data=$SCRATCH/data run=$SCRATCH/run in=$SCRATCH/in
expect 0 "$VOLT" train "$data" --work "$SCRATCH/work" -o "$run" --threads 1 --precision fp32 --batch 2 \
    --epochs 1 --iterations 1 --validation 1 --fold all -q
fast=(--precision fp32 --threads 1 --no-mirror)
expect 0 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/one" "${fast[@]}" -q
expect 0 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/whole" "${fast[@]}" --whole -q
for mesh in cases tiles z=2; do
    expect 0 ranks 2 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/many" "${fast[@]}" --mesh $mesh --json
    out_json output cases skipped failed seconds peak_bytes
    [ "$(wc -l <"$OUT")" -eq 1 ] || fail "$mesh: not one rank prints"
    [ "$(grep -c '^memory: ' "$ERR")" -eq 1 ] || fail "$mesh: not one rank reports"
    from=one
    [ $mesh != z=2 ] || from=whole
    for id in 001 002 003; do
        cmp "$SCRATCH/$from/brats_$id.nii.gz" "$SCRATCH/many/brats_$id.nii.gz" || fail "$mesh: brats_$id differs"
    done
    no_leftovers "$SCRATCH/many"
    rm -r "$SCRATCH/many"
done

# A damaged case: rank 0 lists it, with the code of one rank.
mkdir "$in"
cp "$data"/imagesTr/* "$in"
for c in 0 1 2 3; do echo nothing >"$in/z_000$c.nii.gz"; done
for mesh in cases tiles; do
    expect 5 ranks 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/many" "${fast[@]}" --mesh $mesh
    err_has '^  z: .*z_0000\.nii\.gz'
    one_speaks '1 of 4 cases was not predicted; the others are complete$'
done
# What ends the call ends all, with one sentence.
expect 2 ranks 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" "${fast[@]}" --mesh z=3
[ "$(grep -c '^volt: ' "$ERR")" -eq 1 ] || fail "not one rank says what is wrong"
expect 2 ranks 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" "${fast[@]}" --ranks 2
err_has 'a launcher started 2'
expect 4 ranks 2 "$VOLT" predict "$SCRATCH/no_run" "$in" -o "$SCRATCH/never" "${fast[@]}"
[ "$(grep -c '^volt: ' "$ERR")" -eq 1 ] || fail "not one rank says what is wrong"
# Also where ranks cannot meet, and with a command that knows none.
VOLT_PLUGINS=$SCRATCH/in expect 6 ranks 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" "${fast[@]}"
[ "$(grep -c '^volt: there is no plug-in' "$ERR")" -eq 1 ] || fail "not one process says what is wrong"
expect 6 ranks 2 "$VOLT" info "$in"/*_0000.nii.gz
[ "$(grep -c '^volt: an MPI launcher started 2' "$ERR")" -eq 1 ] || fail "not one process says what is wrong"
absent "$SCRATCH/never"
[ "$(grep -o 'rank 0 (' "$ERR" | wc -l)" -le 1 ] || fail "a rank is named twice"
# Ranks that were started with other words.
differ() { # WHAT, the words of each
    expect 2 timeout 120 "${launch[@]}" -n 1 "$VOLT" predict "$run" "$data/imagesTr" "${fast[@]}" $2 : \
        -n 1 "$VOLT" predict "$run" "$data/imagesTr" "${fast[@]}" $3
    err_has "ranks 0 and 1 differ in $1\$"
    absent "$SCRATCH/never"
}
never="-o $SCRATCH/never"
differ 'their mesh' "$never --mesh tiles" "$never"
differ 'their options' "$never" "$never --step 0.3"
differ 'what they write for a case' "$never" "$never --save-probabilities"
differ 'the format of masks' "$never" "$never --ending .nii"
differ 'their output folder' "$never" "$never/2"
differ 'their region' "$never --roi 0,9,0,9,0,9" "$never --roi 0,9,0,8,0,9"
# With a mesh they share a part out; without one each does its own.
expect 0 ranks 2 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/part" "${fast[@]}" --part 1/2 --mesh cases
out_has '^2 masks in '
[ "$(wc -l <"$OUT")" -eq 1 ] || fail "each rank predicts the part alone"
cmp "$SCRATCH/one/brats_003.nii.gz" "$SCRATCH/part/brats_003.nii.gz" || fail "--part differs"
# Parts that processes share themselves still are what they were.
for i in 1 2; do expect 0 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/parts" "${fast[@]}" --part $i/2 -q; done
cmp "$SCRATCH/one/brats_003.nii.gz" "$SCRATCH/parts/brats_003.nii.gz" || fail "--part differs"
done_testing
