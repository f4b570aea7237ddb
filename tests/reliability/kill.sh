#!/bin/bash
# kill -9 at a random moment of every command that writes: the same command then ends as if
# nothing had happened, and nothing is left of the killed one.
# usage: kill.sh VOLT SCRATCH SOURCES [COUNT [SEED]]
SHORT_ROUND=21
. "$(dirname "$0")/jobs.inc"

prepare
for job in "${JOBS[@]}"; do reference "$job"; done
killed=0 ended=0
for ((i = 0; killed < COUNT && i < 4 * COUNT; i++)); do
    job=${JOBS[i % ${#JOBS[@]}]}
    rm -rf "$W" && mkdir "$W"
    below 3
    kills=$((1 + (DRAWN == 0))) # one in three is killed once more
    for ((k = 0; k < kills; k++)); do
        set_again "$job"
        below $((MS[$job] * 11 / 10 + 1))
        "${CMD[@]}" >"$SCRATCH/out" 2>"$ERR" </dev/null &
        pid=$!
        sleep "$((DRAWN / 1000)).$(printf %03d $((DRAWN % 1000)))"
        kill -9 $pid 2>/dev/null
        wait $pid 2>/dev/null
        if [ $? -eq 137 ]; then killed=$((killed + 1)); else ended=$((ended + 1)); fi
    done
    # A command that was finished refuses to replace its result; that is no fault of the kill.
    set_again "$job"
    "${CMD[@]}" >"$SCRATCH/out" 2>"$ERR" </dev/null
    code=$?
    case $code in
    0) ;;
    *) grep -qE "$FINISHED" "$ERR" ||
        fail "$job after a kill at $DRAWN of ${MS[$job]} ms: exit status $code" ;;
    esac
    same_as_reference "$job" "killed at $DRAWN of ${MS[$job]} ms"
    no_leftovers "$job" "killed at $DRAWN of ${MS[$job]} ms"
done
done_testing "$killed kills of ${#JOBS[@]} commands ($ended had ended before)"
