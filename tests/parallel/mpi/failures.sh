#!/bin/bash
# A rank that fails, is killed, stops or leaves: all ranks are gone within 30 s, and the last line
# of the program names the rank, its host and the cause.
# usage: failures.sh PROGRAM SCRATCH SOURCE MPI
. "$3/tests/cli/common.inc"
VOLT_TEST_MPI=$4
. "$3/tests/cli/mpi.inc"
cd "$SCRATCH" || exit 1
# Processes of this test have a path of their own: the other MPI's may run at the same time.
program=$SCRATCH/ranks
ln -s "$VOLT" "$program"
host=$(hostname)

# start RANKS WORD...: in the background; $job is the launcher.
start() {
    rm -f pid
    COMMAND="$1 ranks: ${*:2}"
    CHECKS=$((CHECKS + 1))
    setsid timeout -k 5 100 "${launch[@]}" -n "$1" "$program" "${@:2}" >"$OUT" 2>"$ERR" &
    job=$!
}

# finish SECONDS WORDS CODES: how the job that was started must end.
finish() {
    local began=$SECONDS status last
    wait $job
    status=$?
    last=$(grep '^volt: ' "$ERR" | tail -1)
    [ $((SECONDS - began)) -le "$1" ] || fail "took $((SECONDS - began)) s"
    grep -qE "^volt: $2" <<<"$last" || { fail "last line '$last'" && tail -20 "$ERR"; }
    [ "$(grep -c '^volt: ' "$ERR")" -eq 1 ] || { fail "several lines" && grep '^volt: ' "$ERR"; }
    grep -qw $status <<<"$3" || fail "exit code $status"
    sleep 0.5
    ! pgrep -f "^$program " >"$SCRATCH/null" || { fail "ranks that stay" && pgrep -af "^$program "; }
    echo "$COMMAND: $last (exit code $status, $((SECONDS - began)) s)"
}

wait_for_pid() {
    for _ in $(seq 300); do
        [ -s pid ] && break
        sleep 0.1
    done
    sleep "${1:-1}"
}

missing="is missing: its process"
for rank in 0 2; do
    start 3 error $rank
    finish 10 "rank $rank \\($host\\): case_17: the label 9 is not in dataset.json$" 10
    start 3 late $rank # after the others have ended
    finish 10 "rank $rank \\($host\\): case_17: the label 9 is not in dataset.json$" 10
    for how in hang compute; do
        start 3 $how $rank "$SCRATCH/pid"
        wait_for_pid
        kill -9 "$(cat pid)"
        finish 20 "rank $rank \\($host\\) $missing $(cat pid) has ended$" '9 13 137 143 15'
    done
done
start 3 leave 1
finish 20 "rank 1 \\($host\\) $missing [0-9]+ has ended$" '0 1 9 13 15 143'
for rank in 0 1; do
    start 2 hang $rank "$SCRATCH/pid"
    wait_for_pid
    kill -STOP "$(cat pid)"
    finish 30 "rank $rank \\($host\\) is missing: it has not answered for 2[0-9] s$" '13 15 143 9 137'
done
done_testing
