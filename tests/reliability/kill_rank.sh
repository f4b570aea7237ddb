#!/bin/bash
# kill -9 of a random rank under mpirun, at a random moment of preprocessing, training, writing a
# checkpoint, validation or prediction in turn: the job ends within 30 s and says who is missing,
# and no rank stays. The last checkpoint is whole, and --resume goes on, also on another number of
# ranks, to the losses, cases and masks of an undisturbed run; predict gives its masks, too.
# usage: kill_rank.sh VOLT SCRATCH SOURCES [COUNT [SEED]]
SHORT_ROUND=6
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
train=("$VOLT" train "$BASE/data" --work "$W/work" -o "$W/run" --threads 1 --precision fp32 --batch 3
    --iterations 2 --epochs $EPOCHS --validation 1 --validate)
predict=("$VOLT" predict "$BASE/run" "$BASE/data/imagesTr" -o "$W/out" --no-mirror --threads 1)
# losses RUN: epoch and loss, a line each.
losses() {
    sed -n 's/^{"epoch":\([0-9]*\),.*"train_loss":\([^,]*\),.*/\1 \2/p' "$1/log.jsonl"
}
# names FOLDER PATTERN: of all files below it.
names() { (cd "$1" 2>/dev/null && find . -name "$2" | sort); }
# same_files A B PATTERN: the files of A are in B, and no others.
same_files() {
    local file bad=0
    diff <(names "$1" "$3") <(names "$2" "$3") || bad=1
    for file in $(names "$1" "$3"); do
        cmp -s "$1/$file" "$2/$file" || { echo "$2/$file differs" && bad=1; }
    done
    return $bad
}
# set_ranks: draws how the next training is run, into CMD and WHERE.
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

# living: the ranks of the job that run.
living() {
    local rank
    for rank in "$PIDS"/*; do
        ! lives "$(cat "$rank" 2>/dev/null || echo none)" || basename "$rank"
    done
}

# ---- phases ----

PHASES=(preprocess train checkpoint validate predict any)
# has_begun PHASE: seen by what the ranks write.
has_begun() {
    case $1 in
    preprocess) compgen -G "$W/work/*/*" >/dev/null ;;
    train) [ -e "$W/run" ] ;;
    checkpoint) [ -s "$W/run/log.jsonl" ] && compgen -G "$W/run/.volt-tmp-*" >/dev/null ;;
    validate) [ -e "$W/run/validation" ] ;;
    predict) [ -e "$W/out" ] ;;
    any) true ;;
    esac
}
now_ms() { echo $(($(date +%s%N) / 1000000)); }
# measure PHASE... -- COMMAND...: MS of each phase when nothing disturbs it, and of all as `any`.
declare -A MS=([checkpoint]=1) MET
measure() {
    local phases=() job began last t i=0
    while [ "$1" != -- ]; do phases+=("$1") && shift; done
    shift
    began=$(now_ms) last=$began
    "$@" >"$SCRATCH/out" 2>"$ERR" </dev/null &
    job=$!
    while kill -0 $job 2>/dev/null; do
        sleep 0.01
        [ $i -lt ${#phases[@]} ] && has_begun "${phases[i]}" || continue
        t=$(now_ms)
        [ $i -eq 0 ] || MS[${phases[i - 1]}]=$((t - last))
        last=$t i=$((i + 1))
    done
    wait $job || { echo "cannot prepare: $*" && cat "$ERR" && exit 1; }
    [ $i -eq ${#phases[@]} ] || { echo "cannot prepare: ${phases[i]} was not seen" && exit 1; }
    t=$(now_ms)
    MS[${phases[i - 1]}]=$((t - last)) MS[any]=$((t - began))
}

# kill_one PHASE MESH COMMAND...: runs it on processes and kills one of them. RANK, PID, WHEN;
# SPOKE: VOLT had begun.
kill_one() {
    local phase=$1 mesh=$2 job began
    shift 2
    rm -rf "$PIDS" && mkdir "$PIDS"
    below $RANKS
    RANK=$DRAWN
    below "${MS[$phase]}"
    WHEN="rank $RANK of $mesh under ${launch[0]}, $phase, $DRAWN of ${MS[$phase]} ms"
    timeout -k 1 90 "${launch[@]}" -n $RANKS "$SCRATCH/rank.sh" "$@" --mesh "$mesh" \
        >"$SCRATCH/out" 2>"$ERR" </dev/null &
    job=$!
    # A checkpoint takes milliseconds to write.
    until has_begun "$phase" || ! kill -0 $job 2>/dev/null; do
        [ "$phase" = checkpoint ] || sleep 0.01
    done
    [ "$phase" = checkpoint ] || sleep "$((DRAWN / 1000)).$(printf %03d $((DRAWN % 1000)))"
    until [ -s "$PIDS/$RANK" ] || ! kill -0 $job 2>/dev/null; do sleep 0.02; done
    PID=$(cat "$PIDS/$RANK" 2>/dev/null)
    # From its first line on VOLT knows all processes of the job.
    SPOKE=$([ -s "$ERR" ] && echo yes)
    ENDING=$([ -s "$SCRATCH/out" ] && echo yes)
    KILLED=
    lives "${PID:-none}" && kill -9 "$PID" 2>/dev/null && KILLED=yes
    began=$SECONDS
    until ! kill -0 $job 2>/dev/null || [ $((SECONDS - began)) -gt 30 ]; do sleep 0.1; done
    TOOK=$((SECONDS - began))
    LIVING=$(living)
    [ $TOOK -le 30 ] || kill $job
    wait $job 2>/dev/null
    CODE=$?
    if [ -n "$KILLED" ]; then
        kills=$((kills + 1)) MET[$phase]=$((${MET[$phase]:-0} + 1))
    else
        ended=$((ended + 1))
    fi
}

# How a job must end one of whose ranks was killed.
check_end() {
    local last pid rank
    if [ $TOOK -gt 30 ] && [ -z "$SPOKE$LIVING" ]; then
        # Before VOLT has begun. Open MPI 4.1.4 does so with other programs, too.
        echo "$WHEN: ${launch[0]} stays after its processes have ended"
    elif [ $TOOK -gt 30 ]; then
        fail "$WHEN: the job took $TOOK s to end"
    fi
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
    local saved=no left
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
    same_files "$BASE/work" "$W/work" '*.voltcase' || fail "$WHEN, then $WHERE: other preprocessed cases"
    diff <(names "$BASE/run/validation" '*.nii.gz') <(names "$W/run/validation" '*.nii.gz') ||
        fail "$WHEN, then $WHERE: other validation masks"
    left=$(find "$W" -name '.volt-*' | head -3)
    [ -z "$left" ] || fail "$WHEN, then $WHERE: left behind $left"
}

# Masks are complete or absent; the same command gives those of an undisturbed one.
check_predict() { # MESH
    local file left
    for file in $(names "$W/out" '*.nii.gz'); do
        cmp -s "$BASE/$1/$file" "$W/out/$file" || fail "$WHEN: $file is not whole"
    done
    timeout -k 1 120 "${launch[@]}" -n $RANKS "${predict[@]}" --mesh "$1" -q >"$SCRATCH/out" 2>"$ERR" \
        </dev/null || fail "$WHEN: the command fails when it is repeated"
    same_files "$BASE/$1" "$W/out" '*.nii.gz' || fail "$WHEN: other masks"
    left=$(find "$W" -name '.volt-*' | head -3)
    [ -z "$left" ] || fail "$WHEN: left behind $left"
}

# ---- undisturbed ----

must "$VOLT" phantom brats "$BASE/data" --cases 10 --size 16 --seed 5 -q
mkdir "$W"
must "${train[@]}" -q
losses "$W/run" >"$SCRATCH/losses"
[ "$(wc -l <"$SCRATCH/losses")" -eq $EPOCHS ] || { echo "cannot prepare: no losses" && exit 1; }
mv "$W/run" "$W/work" "$BASE"
[ -n "$(names "$BASE/run/validation" '*.nii.gz')" ] || { echo "cannot prepare: no validation" && exit 1; }
predictions=(cases tiles z=$RANKS)
for mesh in "${predictions[@]}"; do
    must "${predict[@]}" -q --ranks $RANKS --mesh "$mesh"
    mv "$W/out" "$BASE/$mesh"
done
mkdir "$PIDS"
use_mpi "${mpis[0]}"
measure predict -- "${launch[@]}" -n $RANKS "$SCRATCH/rank.sh" "${predict[@]}" --mesh tiles
rm -rf "$W" && mkdir "$W"
measure preprocess train validate -- "${launch[@]}" -n $RANKS "$SCRATCH/rank.sh" "${train[@]}" \
    --mesh data=$RANKS

# ---- kills ----

kills=0 NAMED=0 RESUMED=0 ended=0
for ((i = 0; kills < COUNT && i < 4 * COUNT; i++)); do
    use_mpi "${mpis[(i + i / ${#PHASES[@]}) % ${#mpis[@]}]}"
    phase=${PHASES[i % ${#PHASES[@]}]}
    rm -rf "$W" && mkdir "$W"
    if [ "$phase" = predict ]; then
        below ${#predictions[@]}
        mesh=${predictions[DRAWN]}
        kill_one predict "$mesh" "${predict[@]}"
        check_end
        check_predict "$mesh"
        continue
    fi
    below 3
    again=$((1 + (DRAWN == 0))) # one in three is killed once more
    for ((k = 0; k < again; k++)); do
        below 2
        mesh=$([ "$DRAWN" -eq 0 ] && echo data=$RANKS || echo z=$RANKS)
        resume=()
        ! has_checkpoint || resume=(--resume)
        kill_one $phase "$mesh" "${train[@]}" "${resume[@]}"
        check_end
        phase=any
    done
    check_resume
done
[ "$kills" -ge "$COUNT" ] || fail "only $kills of $COUNT kills met a rank"
met=
for phase in "${PHASES[@]}"; do
    met+=", ${MET[$phase]:-0} $phase"
    [ "${MET[$phase]:-0}" -gt 0 ] || [ "$COUNT" -lt $((2 * ${#PHASES[@]})) ] || fail "no kill met $phase"
done
done_testing "$kills kills of a rank under ${mpis[*]} (${met#, }; $ended had ended before; $NAMED named, $RESUMED resumed)"
