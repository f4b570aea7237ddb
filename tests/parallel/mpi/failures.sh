#!/bin/bash
# A rank that fails, is killed, stops or leaves: all ranks are gone within 30 s, and the last line
# of the program names the rank, its host and the cause.
# usage: failures.sh PROGRAM SCRATCH SOURCE MPI
. "$3/tests/cli/common.inc"
VOLT_TEST_MPI=$4
. "$3/tests/cli/mpi.inc"
cd "$SCRATCH" || exit 1
program=$VOLT
host=$(hostname)

# start RANKS WORD...: in the background; $job is the launcher.
start() {
    rm -f out err pid
    COMMAND="$1 ranks: ${*:2}"
    CHECKS=$((CHECKS + 1))
    setsid timeout -k 5 100 "${launch[@]}" -n "$1" "$program" "${@:2}" >out 2>err &
    job=$!
}

# finish WHAT SECONDS WORDS CODES: how the job that was started must end.
finish() {
    local began=$SECONDS status last lines
    wait $job
    status=$?
    last=$(grep '^volt: ' err | tail -1)
    [ $((SECONDS - began)) -le "$2" ] || fail "$1: took $((SECONDS - began)) s"
    grep -qE "$3" <<<"$last" || { fail "$1: last line '$last'" && tail -20 err; }
    lines=$(grep '^volt: ' err)
    # Of rank 0's end its child may say the same as a rank that MPICH has not killed yet.
    [[ "$VOLT_TEST_MPI $1" != "mpich rank 0 is killed"* ]] || lines=$(sort -u <<<"$lines")
    [ "$(wc -l <<<"$lines")" -eq 1 ] || { fail "$1: several lines" && grep '^volt: ' err; }
    grep -qw $status <<<"$4" || fail "$1: exit code $status"
    sleep 0.5
    ! pgrep -f "^$program " >null || { fail "$1: ranks that stay" && pgrep -af "^$program "; }
    echo "$1: $last (exit code $status, $((SECONDS - began)) s)"
}

wait_for_pid() {
    for _ in $(seq 300); do
        [ -s pid ] && break
        sleep 0.1
    done
    sleep "${1:-1}"
}

# ---- cases ----

fails() { # RANK
    start 3 error $1
    finish "rank $1 returns an error" 10 \
        "^volt: rank $1 \($host\): case_17: the label 9 is not in dataset.json$" 10
    start 3 late $1
    finish "rank $1 returns an error after the others have ended" 10 \
        "^volt: rank $1 \($host\): case_17: the label 9 is not in dataset.json$" 10
}
# Ranks that do not speak leave the end of the job to the one that does, whatever signals come.
is_interrupted() { # RANK
    start 3 slow_words $1 "$PWD/pid"
    wait_for_pid
    kill -TERM "$(cat pid)"
    finish "rank $1 is interrupted while rank 0 speaks" 10 \
        "^volt: rank $1 \($host\): case_17: the label 9 is not in dataset.json$" 10
}
is_killed() { # RANK
    local how
    for how in hang compute; do
        start 3 $how $1 "$PWD/pid"
        wait_for_pid
        kill -9 "$(cat pid)"
        finish "rank $1 is killed ($how)" 20 \
            "^volt: rank $1 \($host\) is missing: its process $(cat pid) has ended$" \
            '9 13 137 143 15'
    done
}
leaves() { # RANK
    start 3 leave $1
    finish "rank $1 leaves" 20 "^volt: rank $1 \($host\) is missing: its process [0-9]+ has ended$" \
        '0 1 9 13 15 143'
}
is_stopped() { # RANK
    start 2 hang $1 "$PWD/pid"
    wait_for_pid
    kill -STOP "$(cat pid)"
    finish "rank $1 is stopped" 30 \
        "^volt: rank $1 \($host\) is missing: it has not answered for 2[0-9] s$" '13 15 143 9 137'
}

# aside NAME COMMAND...: at the same time as others, in a folder of its own and with a path of its
# own for the program, by which its processes are found.
asides=()
aside() {
    mkdir "$SCRATCH/$1" && ln -s "$program" "$SCRATCH/$1/ranks" || exit 1
    (
        cd "$SCRATCH/$1" || exit 1
        program=$PWD/ranks
        "${@:2}"
        done_testing
    ) &
    asides+=($!)
}
first() { fails 0 && is_killed 0 && is_interrupted 2; }
others() { fails 2 && is_killed 2 && leaves 1; }
aside stopped0 is_stopped 0 # long waits, in which nobody computes
aside stopped1 is_stopped 1
aside first first
aside others others
for one in "${asides[@]}"; do
    CHECKS=$((CHECKS + 1))
    wait "$one" || FAILED=1
done
done_testing
