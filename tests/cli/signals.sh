#!/bin/bash
# Signals, closed and full outputs, and limits: saved or one sentence, never a silent end.
. "$3/tests/cli/common.inc"

make_data 5 16
data=$SCRATCH/data work=$SCRATCH/work
scan=$data/imagesTr/brats_001_0000.nii.gz
train=("$VOLT" train "$data" --work "$work" --threads 1 --precision fp32 --batch 2 --iterations 2 \
    --validation 1)
epochs() { wc -l <"$1/log.jsonl"; }

# A reader of the messages that goes away ends no training.
COMMAND='volt train 2>&1 | head -1'
"${train[@]}" --epochs 3 -o "$SCRATCH/piped" -v 2>&1 </dev/null | head -1 >"$OUT"
codes=("${PIPESTATUS[@]}")
[ "${codes[0]}" -eq 4 ] || fail "exit status ${codes[0]}" # the result could not be printed
[ "$(epochs "$SCRATCH/piped")" -eq 3 ] || fail "the training ended with its reader"
exists "$SCRATCH/piped/summary.json"
CHECKS=$((CHECKS + 1))

# twice SIGNAL RUN COMMAND...: SIGNAL after the first epoch, twice as a terminal sends SIGHUP and
# Slurm SIGTERM.
twice() {
    local signal=$1 run=$2 pid
    shift 2
    COMMAND="$*, SIG$signal"
    "$@" >"$OUT" 2>"$ERR" </dev/null &
    pid=$!
    until [ -s "$run/log.jsonl" ]; do
        kill -0 $pid 2>/dev/null || break
        sleep 0.02
    done
    kill -$signal $pid
    sleep 0.01
    kill -$signal $pid
    wait $pid
    CODE=$?
    CHECKS=$((CHECKS + 1))
}
twice HUP "$SCRATCH/hung" "${train[@]}" --epochs 400 -o "$SCRATCH/hung" -q
[ $CODE -eq 9 ] || fail "exit status $CODE"
err_has '^volt: stopped and saved after iteration'
no_leftovers "$SCRATCH/hung"
twice TERM "$SCRATCH/term" "${train[@]}" --epochs 4000 -o "$SCRATCH/term" -q
[ $CODE -eq 9 ] || fail "exit status $CODE"
err_has '^volt: stopped and saved after iteration'
no_leftovers "$SCRATCH/term"
twice INT "$SCRATCH/int" "${train[@]}" --epochs 4000 -o "$SCRATCH/int" -q
[ $CODE -ne 9 ] || fail "a second SIGINT did not end the process"
rm -r "$SCRATCH/int"
twice HUP "$SCRATCH/nohup" nohup "${train[@]}" --epochs 8 -o "$SCRATCH/nohup" -q
[ $CODE -eq 0 ] || fail "exit status $CODE"
[ "$(epochs "$SCRATCH/nohup")" -eq 8 ] || fail "nohup was not respected"

# Standard output that is full, closed, or has no reader.
expect 4 sh -c '"$0" info "$1" >/dev/full' "$VOLT" "$scan"
err_is 'volt: standard output: No space left on device'
expect 4 sh -c '"$0" info "$1" >&-' "$VOLT" "$scan"
err_is 'volt: standard output: Bad file descriptor'
expect 4 sh -c '(trap "" PIPE; sleep 0.3; "$0" info "$1"; echo $? >"$2") | true; exit $(cat "$2")' \
    "$VOLT" "$scan" "$SCRATCH/code"
err_is 'volt: standard output: Broken pipe'
# With all three closed the files keep their content: none of them becomes a stream.
expect 0 sh -c '"$0" convert "$1" "$2" <&- >&- 2>&-' "$VOLT" "$scan" "$SCRATCH/all_closed.nii"
expect 0 "$VOLT" convert "$scan" "$SCRATCH/all_open.nii"
expect 0 cmp "$SCRATCH/all_closed.nii" "$SCRATCH/all_open.nii"

# A file that reaches its limit.
expect 4 sh -c 'ulimit -f 4; "$0" convert "$1" "$2"' "$VOLT" "$scan" "$SCRATCH/big.nii"
err_is "volt: cannot write $SCRATCH/big.nii: File too large"
absent "$SCRATCH/big.nii"
expect 4 sh -c 'ulimit -f 400; exec "$@"' - "${train[@]}" --epochs 1 -o "$SCRATCH/too_big" -q
err_has "^volt: cannot write $SCRATCH/too_big/checkpoint_latest.safetensors: File too large"
no_leftovers "$SCRATCH"

# More threads than there may be: root is not limited.
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 54322 --clear-groups test -r "$scan" -a -x "$VOLT" 2>/dev/null; then
    expect 3 setpriv --reuid 54322 --clear-groups bash -c 'ulimit -u 3; exec "$0" info "$1" --threads 8' \
        "$VOLT" "$scan"
    err_has '^volt: the system starts only [0-9]+ of 16 threads'
    ! grep -q libgomp "$ERR" || fail "libgomp ended the program"
fi
done_testing
