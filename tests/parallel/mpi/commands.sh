#!/bin/bash
# volt train and volt predict under the launcher of an MPI: as on threads and as on one rank.
# usage: commands.sh VOLT SCRATCH SOURCE MPI CASE
. "$3/tests/cli/common.inc"
VOLT_TEST_MPI=$4
. "$3/tests/cli/mpi.inc"
cd "$SCRATCH" || exit 1
train=("$VOLT" train data --work work --threads 1 --precision fp32 --batch 4 --epochs 2
    --iterations 2 --validation 1 -q)
predict=("$VOLT" predict run data/imagesTr --no-mirror --threads 1 -q)

# trains RANKS MESH OPTIONS...: the bits of the same mesh on threads, to rounding the losses of
# one rank.
trains() {
    rm -rf one threads mpi
    expect 0 "${train[@]}" -o one "${@:3}"
    expect 0 "${train[@]}" -o threads --ranks "$1" --mesh "$2" "${@:3}"
    expect 0 ranks "$1" "${train[@]}" -o mpi --mesh "$2" "${@:3}"
    cmp -s <(losses threads) <(losses mpi) || fail "$2: other losses than on threads"
    near_losses one mpi 4
    for run in threads mpi; do # checkpoints hold times, too
        expect 0 "$VOLT" export model $run --checkpoint latest -o $run.safetensors --format safetensors -q
    done
    cmp -s threads.safetensors mpi.safetensors || fail "$2: other parameters than on threads"
}

# predicts RANKS MESH OPTIONS...: the masks of the command with these options instead.
predicts() {
    expect 0 "${train[@]}" -o run --epochs 1
    expect 0 "${predict[@]}" -o expected "${@:3}"
    expect 0 ranks "$1" "${predict[@]}" -o mpi --mesh "$2"
    count mpi/*.nii.gz
    [ "$COUNT" -eq 3 ] || fail "not 3 masks"
    for mask in expected/*.nii.gz; do
        cmp -s "$mask" "mpi/$(basename "$mask")" || fail "$(basename "$mask") differs"
    done
}

make_data 3 24
case $5 in
train_data) trains 3 data=3 ;; # an uneven batch
train_space) trains 4 data=2,z=2 ;;
train_stages)
    trains 4 data=2,stage=2 --accumulate 2
    trains 2 stage=2 --accumulate 4
    expect 0 ranks 2 "${train[@]}" -o mpi --epochs 3 --resume --mesh z=2
    expect 0 "${train[@]}" -o one --epochs 3 --resume
    near_losses one mpi 6
    ;;
predict_cases) predicts 2 cases ;;
predict_space) predicts 2 z=2 --ranks 2 --mesh z=2 ;;
*) fail "no case '$5'" ;;
esac
done_testing
