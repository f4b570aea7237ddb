#!/bin/bash
# One process per run and work folder, also on a file system without locks; what a process that
# ended left behind blocks nobody; readers need no lock.
. "$3/tests/cli/common.inc"

make_data 5 16
data=$SCRATCH/data work=$SCRATCH/work run=$SCRATCH/run
train=("$VOLT" train "$data" --work "$work" --threads 1 --precision fp32 --batch 2 --iterations 2 \
    --validation 1)
host=$(uname -n)

# start_training EPOCHS: in the background, until its first epoch is logged.
start_training() {
    "${train[@]}" --epochs "$1" -o "$run" -q >"$SCRATCH/first.out" 2>"$SCRATCH/first.err" </dev/null &
    first=$!
    COMMAND="${train[*]}, in the background"
    until [ -s "$run/log.jsonl" ]; do
        kill -0 $first 2>/dev/null || { fail "the first training ended" && break; }
        sleep 0.02
    done
}

second_is_refused() {
    expect 4 "${train[@]}" --epochs 9 -o "$run" -q
    err_is "volt: $run is in use by process $first on $host"
    expect 4 "${train[@]}" --epochs 9 -o "$run" -q --resume
    err_is "volt: $run is in use by process $first on $host"
}

for locks in with without; do
    if [ $locks = without ]; then
        no_flock=$(dirname "$VOLT")/tests/libno_flock.so
        [ -e "$no_flock" ] || continue
        ! grep -q __asan "$VOLT" || continue # it wants to be loaded first
        export LD_PRELOAD=$no_flock
    fi
    start_training 400
    second_is_refused
    # Readers, and another run in the same work folder, go on.
    expect 0 "$VOLT" plot "$run" -o "$SCRATCH/curves.svg"
    expect 0 "${train[@]}" --epochs 1 -o "$SCRATCH/other" -q
    rm -rf "$SCRATCH/other"
    kill -9 $first
    wait $first 2>/dev/null
    exists "$run/.volt-lock"
    touch "$run/.volt-tmp-00000000-1-1-0"
    expect 10 "${train[@]}" --epochs 9 -o "$run" -q # occupied, but not in use
    err_has 'already holds a run'
    absent "$run/.volt-lock"
    expect 9 timeout --foreground --preserve-status -s INT 4 "${train[@]}" -o "$run" --epochs 400 --resume -q
    [ $locks = without ] || no_leftovers "$SCRATCH"
    rm -rf "$run"
done
unset LD_PRELOAD

# A lock file that names a process of another machine blocks nobody where there are locks.
mkdir "$run"
echo "elsewhere 1 0 1 -" >"$run/.volt-lock"
expect 0 "${train[@]}" --epochs 1 -o "$run" -q
absent "$run/.volt-lock"

# Without locks it does, and the sentence says what to do.
no_flock=$(dirname "$VOLT")/tests/libno_flock.so
if [ -e "$no_flock" ] && ! grep -q __asan "$VOLT"; then
    mkdir "$SCRATCH/b"
    echo "elsewhere 1 0 1 -" >"$SCRATCH/b/.volt-lock"
    expect 4 env LD_PRELOAD="$no_flock" "${train[@]}" --epochs 1 -o "$SCRATCH/b" -q
    err_is "volt: $SCRATCH/b is in use by process 1 on elsewhere; if that has ended, remove $SCRATCH/b/.volt-lock"
fi

# Two predictions into one folder: of one network they may go on together, of two they would mix.
expect 0 "${train[@]}" --epochs 1 -o "$SCRATCH/other" --seed 7 -q
"$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/both" --threads 1 --step 0.1 -q &
first=$!
until [ -s "$SCRATCH/both/.volt-lock" ]; do
    kill -0 $first 2>/dev/null || break
done
kill -STOP $first # so that it cannot end too early
expect 4 "$VOLT" predict "$SCRATCH/other" "$data/imagesTr" -o "$SCRATCH/both" --threads 1 -q
err_is "volt: $SCRATCH/both is in use by process $first on $host"
expect 0 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/both" --threads 1 --part 1/5 -q
kill -CONT $first
wait $first || fail "the first prediction failed"
no_leftovers "$SCRATCH/both"

# A run that cannot be written is read all the same.
chmod -R a-w "$run"
expect 0 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/masks" --no-mirror --threads 1 -q
chmod -R u+w "$run"
done_testing
