#!/bin/bash
# volt train under mpirun: two processes train as one rank does, and end together.
. "$3/tests/cli/common.inc"
. "$3/tests/cli/mpi.inc"

make_data 4 24
data=$SCRATCH/data work=$SCRATCH/work
train=("$VOLT" train "$data" --work "$work" --threads 1 --precision fp32 --batch 2 --optimizer sgd
    --epochs 2 --iterations 4 --validation 2)
# Without a mesh: one sentence that asks for one.
expect 2 ranks 2 "${train[@]}" -o "$SCRATCH/never"
one_speaks '2 ranks are to train one network, but no mesh says how: .*; give --mesh$'
expect 2 ranks 2 "${train[@]}" -o "$SCRATCH/never" --ranks 2 --mesh data=2
err_has 'a launcher started 2'
absent "$SCRATCH/never"

# Told at the start: what follows training is not the same either.
expect 2 ranks 1 "${train[@]}" -o "$SCRATCH/never" --mesh z=2 : -n 1 "${train[@]}" -o "$SCRATCH/never" \
    --mesh z=2 --folds 0,1
err_has '^volt: ranks 0 and 1 differ in --fold, --folds, --validate or --save-probabilities$'
expect 2 ranks 1 "${train[@]}" -o "$SCRATCH/never" --mesh z=2 : -n 1 "${train[@]}" -o "$SCRATCH/other" --mesh z=2
err_has '^volt: ranks 0 and 1 differ in --output$'
absent "$SCRATCH/never"
absent "$SCRATCH/other"

# As on one rank and on threads; the same bits as the threads' on the same mesh.
expect 0 "${train[@]}" -o "$SCRATCH/one" -q
expect 0 "${train[@]}" -o "$SCRATCH/threads" --ranks 2 --mesh data=2 -q
# Rank 1 preprocesses its part: it names the case that it cannot store.
mkdir -p "$SCRATCH/shared/nnUNetPlans_3d_fullres/brats_002.voltcase/x"
expect 4 ranks 2 "${train[@]}" -o "$SCRATCH/never" --work "$SCRATCH/shared" --mesh data=2 -q
one_speaks 'rank 1 \(.*\): .*brats_002.voltcase: Is a directory$'
absent "$SCRATCH/never"
rm -r "$SCRATCH/shared/nnUNetPlans_3d_fullres/brats_002.voltcase"
expect 0 ranks 2 "${train[@]}" -o "$SCRATCH/mpi" --work "$SCRATCH/shared" --mesh data=2 --validate --json
for case in "$work"/*/*.voltcase; do cmp -s "$case" "${case/"$work"/"$SCRATCH/shared"}" || fail "$case differs"; done
out_json run epochs iterations ranks communication_s
[ "$(wc -l <"$OUT")" -eq 1 ] || fail "not one rank prints"
[ "$(grep -c 'epoch 1/2' "$ERR")" -eq 1 ] || fail "not one rank reports"
# Masks of the held-out cases are those of one rank, to the byte.
mv "$SCRATCH/mpi/validation" "$SCRATCH/masks"
expect 0 "${train[@]}" -o "$SCRATCH/mpi" --resume --validate -q
for mask in "$SCRATCH"/masks/*.nii.gz; do cmp -s "$mask" "${mask/masks/mpi/validation}" || fail "$mask differs"; done
near_losses "$SCRATCH/one" "$SCRATCH/mpi" 4
cmp -s <(losses "$SCRATCH/threads") <(losses "$SCRATCH/mpi") || fail "other losses than on threads"
expect 0 ranks 2 "${train[@]}" --epochs 3 -o "$SCRATCH/mpi" --resume --mesh z=2 -q
[ "$(wc -l <"$SCRATCH/mpi/log.jsonl")" -eq 3 ] || fail "the run has not become longer"
expect 0 ranks 2 "${train[@]}" --epochs 3 -o "$SCRATCH/mpi" --resume --mesh z=2 -q
out_has 'has ended, nothing is left to do'
no_leftovers "$SCRATCH/mpi"

# A run that exists: all ranks end with the code of rank 0, which says why.
expect 10 ranks 2 "${train[@]}" -o "$SCRATCH/mpi" --mesh data=2 -q
one_speaks '.*/mpi already holds a run'

# A rank that is killed: the others end, one line says who is missing, and the run is resumable.
if [ "$mpi" = openmpi ]; then
    "${launch[@]}" -n 2 "${train[@]}" --epochs 300 -o "$SCRATCH/killed" --mesh data=2 >"$OUT" 2>"$ERR" </dev/null &
    pid=$!
    COMMAND="${train[*]} -o $SCRATCH/killed, on two ranks of which one is killed"
    CHECKS=$((CHECKS + 1))
    until [ -s "$SCRATCH/killed/log.jsonl" ]; do # a line per epoch
        kill -0 $pid 2>"$SCRATCH/null" || break
        sleep 0.02
    done
    kill -9 "$(pgrep -P $pid | tail -1)"
    (sleep 60 && kill -9 $pid) >"$SCRATCH/null" 2>&1 &
    watchdog=$!
    wait $pid 2>"$SCRATCH/null"
    [ $? -ne 0 ] || fail "a job with a killed rank succeeds"
    kill -0 $watchdog 2>"$SCRATCH/null" || fail "the job does not end within 60 s"
    kill $watchdog 2>"$SCRATCH/null"
    [ "$(grep -c '^volt: rank [01] .* is missing' "$ERR")" -eq 1 ] || fail "not one rank says who is missing"
    epochs=$(($(wc -l <"$SCRATCH/killed/log.jsonl") + 1))
    expect 0 "${train[@]}" --epochs $epochs --resume -o "$SCRATCH/killed" -q
    [ "$(wc -l <"$SCRATCH/killed/log.jsonl")" -eq $epochs ] || fail "the run does not go on"
fi

# All ranks are killed while they predict the held-out cases: masks without a description of
# their folder would be taken for a user's.
"${launch[@]}" -n 2 "${train[@]}" -o "$SCRATCH/validated" --fold all --mesh data=2 --validate >"$OUT" 2>"$ERR" </dev/null &
pid=$!
COMMAND="${train[*]} -o $SCRATCH/validated, on two ranks that are killed while they validate"
until [ -n "$(find "$SCRATCH/validated/validation" -name '*.nii.gz' 2>"$SCRATCH/null")" ]; do
    kill -0 $pid 2>"$SCRATCH/null" || break
done
for rank in $(pgrep -f -- "-o $SCRATCH/validated "); do
    [ "$(cat "/proc/$rank/comm" 2>"$SCRATCH/null")" != volt ] || kill -9 "$rank" 2>"$SCRATCH/null"
done
wait $pid 2>"$SCRATCH/null"
expect 0 ranks 2 "${train[@]}" -o "$SCRATCH/validated" --fold all --mesh data=2 --validate --resume -q
[ "$(find "$SCRATCH/validated/validation" -name '*.nii.gz' | wc -l)" -eq 4 ] || fail "not every case has a mask"

# Damaged cases: the code of the cause, and one line.
for case in $(find "$work" -name "*.voltcase"); do
    printf '\377\376\375' | dd of="$case" bs=1 seek=$(($(stat -c %s "$case") / 2)) conv=notrunc status=none
done
expect 5 ranks 2 "${train[@]}" -o "$SCRATCH/broken" --mesh data=2 -q
one_speaks '.*brats_00.\.voltcase: the CRC'
absent "$SCRATCH/broken"
done_testing
