#!/bin/bash
# The same command twice at the same time: one is refused with a sentence that names the other
# process, or both succeed; the result is the same as that of one alone.
# usage: pair.sh VOLT SCRATCH SOURCES [COUNT [SEED]]     COUNT: pairs of each command
SHORT_ROUND=1
. "$(dirname "$0")/jobs.inc"

prepare
both=(preprocess import_model export_nnunet predict evaluate snapshot convert convert_mha export_onnx plot)
one=(phantom import_copy import_link train ensemble best postprocess)
[[ " ${JOBS[*]} " = *" convert_mha "* ]] || both=("${both[@]/convert_mha/convert}")
for job in "${both[@]}" "${one[@]}"; do reference "$job"; done

# together DELAY_MS: CMD twice; exit codes in A and B, messages in $ERR.a and $ERR.b.
together() {
    local first
    "${CMD[@]}" >"$SCRATCH/out" 2>"$ERR.a" </dev/null &
    first=$!
    [ "$1" -eq 0 ] || sleep "0.$(printf %03d "$1")"
    "${CMD[@]}" >"$SCRATCH/out" 2>"$ERR.b" </dev/null
    B=$?
    wait $first
    A=$?
    cat "$ERR.a" "$ERR.b" >"$ERR"
}

# refused FILE: by a lock, or because the other one was finished before.
refused() {
    grep -qE "is in use by process [0-9]+ on |$FINISHED" "$1"
}

pairs=0 refusals=0
for ((i = 0; i < COUNT; i++)); do
    for job in "${both[@]}"; do
        rm -rf "$W" && mkdir "$W"
        set_command "$job"
        together 0
        pairs=$((pairs + 1))
        [ "$A $B" = "0 0" ] || fail "$job twice: exit status $A and $B"
        same_as_reference "$job" twice
        no_leftovers "$job" twice
    done
    for job in "${one[@]}"; do
        rm -rf "$W" && mkdir "$W"
        set_command "$job"
        below 30
        together "$DRAWN"
        pairs=$((pairs + 1))
        case "$A $B" in
        "0 0") ;; # one after the other, where that is allowed
        "0 "*) refused "$ERR.b" || fail "$job twice: exit status $B" ;;
        *" 0") refused "$ERR.a" || fail "$job twice: exit status $A" ;;
        *) fail "$job twice: exit status $A and $B" ;;
        esac
        [ "$A $B" = "0 0" ] && [ "$job" = train ] && fail "one run was trained twice"
        [ "$A $B" = "0 0" ] || refusals=$((refusals + 1))
        same_as_reference "$job" twice
        no_leftovers "$job" twice
    done
    # Two --resume of one run: killed early, so that there is something to do.
    rm -rf "$W" && mkdir "$W"
    set_command train
    "${CMD[@]}" >"$SCRATCH/out" 2>"$ERR" </dev/null &
    pid=$!
    until [ -e "$W/run/checkpoint_latest.safetensors" ]; do kill -0 $pid 2>/dev/null || break; done
    kill -9 $pid 2>/dev/null
    wait $pid 2>/dev/null
    set_again train
    together 0
    pairs=$((pairs + 1))
    case "$A $B" in
    "0 0") ;; # the second found a finished run
    "0 "*) refused "$ERR.b" || fail "--resume twice: exit status $B" ;;
    *" 0") refused "$ERR.a" || fail "--resume twice: exit status $A" ;;
    *) fail "--resume twice: exit status $A and $B" ;;
    esac
    same_as_reference train "resumed twice"
    no_leftovers train "resumed twice"
done
done_testing "$pairs pairs of $((${#both[@]} + ${#one[@]} + 1)) kinds ($refusals refused)"
