#!/bin/bash
# volt train and volt predict under the launcher of an MPI: as on threads and as on one rank.
# usage: commands.sh VOLT SCRATCH SOURCE MPI CASE
. "$(dirname "$0")/common.inc"
data=$scratch/data
train=("$program" train "$data" --work "$scratch/work" --threads 1 --precision fp32 --batch 4
    --epochs 2 --iterations 2 --validation 1 -q)
predict=("$program" predict "$scratch/run" "$data/imagesTr" --no-mirror --threads 1 -q)

# must COMMAND...: ends the test if it fails.
must() {
    timeout 60 "$@" >out 2>err </dev/null && return
    echo "FAILED: $*" && tail -20 err
    exit 1
}
ranks() { must "${launch[@]}" -n "$1" "${@:2}"; }
losses() { grep -oE '"(train|validation)_loss": *[-0-9.e]+' "$1/log.jsonl"; }

# trains RANKS MESH: the bits of the same mesh on threads, to rounding the losses of one rank.
trains() {
    must "${train[@]}" -o one
    must "${train[@]}" -o threads --ranks "$1" --mesh "$2"
    ranks "$1" "${train[@]}" -o mpi --mesh "$2"
    [ "$(losses mpi | wc -l)" -eq 4 ] || fail "log.jsonl lacks losses"
    cmp -s <(losses threads) <(losses mpi) || fail "other losses than on threads"
    paste -d : <(losses one) <(losses mpi) | awk -F : '{ d = $2 - $4; if (d < 0) d = -d
        if (NF != 4 || d > 1e-4) exit 1 }' || fail "other losses than on one rank"
    for run in threads mpi; do # checkpoints hold times, too
        must "$program" export model $run --checkpoint latest -o $run.safetensors --format safetensors -q
    done
    cmp -s threads.safetensors mpi.safetensors || fail "other parameters than on threads"
}

# predicts RANKS MESH OPTIONS...: the masks of the command with these options instead.
predicts() {
    must "${train[@]}" -o run --epochs 1
    must "${predict[@]}" -o expected "${@:3}"
    ranks "$1" "${predict[@]}" -o mpi --mesh "$2"
    [ "$(find mpi -name '*.nii.gz' | wc -l)" -eq 3 ] || fail "not 3 masks"
    for mask in expected/*.nii.gz; do
        cmp -s "$mask" "mpi/$(basename "$mask")" || fail "$(basename "$mask") differs"
    done
}

must "$program" phantom brats "$data" --cases 3 --size 24 --seed 5 -q
case $5 in
train_data) trains 3 data=3 ;; # an uneven batch
train_space) trains 4 data=2,z=2 ;;
predict_cases) predicts 2 cases ;;
predict_space) predicts 2 z=2 --ranks 2 --mesh z=2 ;;
*) fail "no case '$5'" ;;
esac
exit $failed
