#!/bin/bash
# kill -9 of a random rank at a random moment of a training under mpirun: the job ends within 30 s
# and says who is missing, no rank stays, the last checkpoint is whole, and --resume goes on, also
# on another number of ranks, to the losses of an undisturbed run.
# usage: kill_rank.sh VOLT SCRATCH SOURCES [COUNT [SEED]]
SHORT_ROUND=4
. "$(dirname "$0")/jobs.inc"
export OMP_NUM_THREADS=1 OMPI_MCA_btl_vader_single_copy_mechanism=none
[ "$(id -u)" -ne 0 ] || export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
host=$(hostname) RANKS=3

mpis=()
plugins=$(dirname "$VOLT")
[ ! -e "$plugins/libvolt-mpi.so" ] || ! command -v mpirun.openmpi >/dev/null || mpis+=(openmpi)
[ ! -e "$plugins/libvolt-mpich.so" ] || ! command -v mpirun.mpich >/dev/null || mpis+=(mpich)
[ ${#mpis[@]} -gt 0 ] || { echo "skipped: no MPI, or no plug-in for it" && exit 77; }
use_mpi() { # NAME
    case $1 in
    openmpi) launch=(mpirun.openmpi --oversubscribe) ;;
    mpich) launch=(mpirun.mpich) ;;
    esac
}

# A rank writes its number and process before it becomes volt: other processes of the job look
# the same to pgrep.
cat >"$SCRATCH/rank.sh" <<'END'
#!/bin/bash
rank=${OMPI_COMM_WORLD_RANK:-${PMI_RANK:-0}}
echo $$ >"$PIDS/.$rank" && mv "$PIDS/.$rank" "$PIDS/$rank"
exec "$@"
END
chmod +x "$SCRATCH/rank.sh"
export PIDS=$SCRATCH/pids

EPOCHS=6
train=("$VOLT" train "$BASE/data" --work "$BASE/work" -o "$W/run" --threads 1 --precision fp32
    --batch 3 --iterations 2 --epochs $EPOCHS --validation 1)
# losses RUN: epoch and loss, a line each.
losses() {
    sed -n 's/^{"epoch":\([0-9]*\),.*"train_loss":\([^,]*\),.*/\1 \2/p' "$1/log.jsonl"
}
# set_ranks: draws how the next job is run, into CMD and WHERE.
set_ranks() {
    local ranks axis
    below 4
    ranks=$((1 + DRAWN % 3))
    below 2
    axis=$([ "$DRAWN" -eq 0 ] && echo data || echo z)
    below 2
    WHERE="mesh $axis=$ranks"
    if [ "$ranks" -eq 1 ]; then
        CMD=("${train[@]}") WHERE="one rank"
    elif [ "$DRAWN" -eq 0 ]; then
        CMD=("${train[@]}" --ranks "$ranks" --mesh "$axis=$ranks") WHERE+=" on threads"
    else
        CMD=("${launch[@]}" -n "$ranks" "${train[@]}" --mesh "$axis=$ranks")
    fi
}
has_checkpoint() { [ -e "$W/run/checkpoint_latest.safetensors" ]; }
# lives PID: it runs, and does not only wait to be reaped.
lives() { [ -e "/proc/$1/stat" ] && ! grep -qE '^[0-9]+ \(.*\) [ZX] ' "/proc/$1/stat" 2>/dev/null; }

# kill_one: trains on processes and kills one of them. RANK, PID, WHEN; SPOKE: VOLT had begun.
kill_one() {
    local mesh=$1 job began
    rm -rf "$PIDS" && mkdir "$PIDS"
    CMD=("${launch[@]}" -n $RANKS "$SCRATCH/rank.sh" "${train[@]}" --mesh "$mesh")
    ! has_checkpoint || CMD+=(--resume)
    below $RANKS
    RANK=$DRAWN
    below $((MS * 11 / 10))
    WHEN="rank $RANK of $mesh under ${launch[0]} after $DRAWN of $MS ms"
    timeout -k 1 90 "${CMD[@]}" >"$SCRATCH/out" 2>"$ERR" </dev/null &
    job=$!
    sleep "$((DRAWN / 1000)).$(printf %03d $((DRAWN % 1000)))"
    until [ -s "$PIDS/$RANK" ] || ! kill -0 $job 2>/dev/null; do sleep 0.02; done
    PID=$(cat "$PIDS/$RANK" 2>/dev/null)
    # From its first line on VOLT knows all processes of the job.
    SPOKE=$([ -s "$ERR" ] && echo yes)
    ENDING=$([ -s "$SCRATCH/out" ] && echo yes)
    KILLED=
    lives "${PID:-none}" && kill -9 "$PID" 2>/dev/null && KILLED=yes
    began=$SECONDS
    wait $job 2>/dev/null
    CODE=$?
    TOOK=$((SECONDS - began))
}

# How a job must end one of whose ranks was killed.
check_end() {
    local last pid rank
    [ $TOOK -le 30 ] || fail "$WHEN: the job took $TOOK s to end"
    sleep 0.3 # init reaps
    for rank in "$PIDS"/*; do
        pid=$(cat "$rank" 2>/dev/null)
        lives "${pid:-none}" || continue
        sleep 3
        ! lives "$pid" || { fail "$WHEN: rank $(basename "$rank") stays" && kill -9 "$pid"; }
    done
    [ -n "$KILLED" ] && [ -z "$ENDING" ] || return 0
    [ $CODE -ne 0 ] || fail "$WHEN: exit status 0"
    [ -n "$SPOKE" ] || return 0
    last=$(tr '\r' '\n' <"$ERR" | grep '^volt: ' | tail -1)
    [ "$last" = "volt: rank $RANK ($host) is missing: its process $PID has ended" ] ||
        fail "$WHEN: the last line is '$last'"
    NAMED=$((NAMED + 1))
}

# What is saved is whole, and training goes on from there elsewhere.
check_resume() {
    local saved=no
    if has_checkpoint; then
        saved=yes
        "$VOLT" export model "$W/run" --checkpoint latest -o "$SCRATCH/weights.safetensors" \
            --format safetensors -q >"$SCRATCH/out" 2>"$ERR" || fail "$WHEN: the checkpoint is damaged"
        rm -f "$SCRATCH/weights.safetensors"
        RESUMED=$((RESUMED + 1))
    fi
    set_ranks
    [ $saved = no ] || CMD+=(--resume)
    timeout -k 1 120 "${CMD[@]}" -q >"$SCRATCH/out" 2>"$ERR" </dev/null ||
        fail "$WHEN: $WHERE does not go on (checkpoint: $saved)"
    losses "$W/run" >"$SCRATCH/now"
    paste "$SCRATCH/losses" "$SCRATCH/now" | awk '{ d = $2 - $4; if (d < 0) d = -d
        a = $2 < 0 ? -$2 : $2; if (a < 0.1) a = 0.1
        if (NF != 4 || $1 != $3 || d > 1e-4 * a) exit 1 } END { exit NR != '$EPOCHS' }' ||
        { fail "$WHEN, then $WHERE: other losses" && paste "$SCRATCH/losses" "$SCRATCH/now"; }
    pid=$(find "$W" "$BASE/work" -name '.volt-*' | head -3)
    [ -z "$pid" ] || fail "$WHEN, then $WHERE: left behind $pid"
}

must "$VOLT" phantom brats "$BASE/data" --cases 4 --size 16 --seed 5 -q
must "$VOLT" preprocess "$BASE/data" --work "$BASE/work" -q
mkdir "$W"
must "${train[@]}" -q
losses "$W/run" >"$SCRATCH/losses"
[ "$(wc -l <"$SCRATCH/losses")" -eq $EPOCHS ] || { echo "cannot prepare: no losses" && exit 1; }
rm -rf "$W" && mkdir "$W" "$PIDS"
use_mpi "${mpis[0]}"
began=$(date +%s%N)
must "${launch[@]}" -n $RANKS "$SCRATCH/rank.sh" "${train[@]}" --mesh data=$RANKS
MS=$((($(date +%s%N) - began) / 1000000))

kills=0 NAMED=0 RESUMED=0 ended=0
for ((i = 0; kills < COUNT && i < 4 * COUNT; i++)); do
    use_mpi "${mpis[i % ${#mpis[@]}]}"
    rm -rf "$W" && mkdir "$W"
    below 3
    again=$((1 + (DRAWN == 0))) # one in three is killed once more
    for ((k = 0; k < again; k++)); do
        below 2
        kill_one "$([ "$DRAWN" -eq 0 ] && echo data=$RANKS || echo z=$RANKS)"
        check_end
        if [ -n "$KILLED" ]; then kills=$((kills + 1)); else ended=$((ended + 1)); fi
    done
    check_resume
done
[ "$kills" -ge "$COUNT" ] || fail "only $kills of $COUNT kills met a rank"
done_testing "$kills kills of a rank under ${mpis[*]} ($ended had ended before; $NAMED named, $RESUMED resumed)"
