#!/bin/bash
# volt train: what --resume does with options, and mistakes that show before any work.
. "$3/tests/cli/common.inc"

expect 0 "$VOLT" phantom liver "$SCRATCH/data" --cases 4 --size 24 --seed 3 -q
data=$SCRATCH/data work=$SCRATCH/work run=$SCRATCH/run
short=(--work "$work" --threads 1 --precision fp32 --iterations 2 --validation 1)
train=("$VOLT" train "$data" "${short[@]}")

# Cheap mistakes: one sentence, exit status 2, and neither work folder nor run.
mistake() {
    local words=$1
    shift
    expect 2 "${train[@]}" -o "$SCRATCH/never/run" -q "$@"
    err_one_line
    err_has "$words"
    absent "$SCRATCH/never"
    absent "$work"
}
mistake '--lr' --lr 0
mistake '--lr' --lr nan
mistake '--lr' --lr -1
mistake '--epochs' --epochs 0
mistake '--epochs' --epochs 99999999999
mistake '--iterations' --iterations -3
mistake '--batch' --batch 0
mistake '--threads' --threads -1
mistake '--loader-threads' --loader-threads 1000
mistake '--budget' --budget 1s
mistake '--epochs has no effect with --budget' --budget 30m --epochs 3
mistake '--iterations has no effect with --budget' --budget 30m
mistake 'the budget of --recipe fast' --recipe fast
mistake '--init-mode requires --init' --init-mode tolerant
mistake '--momentum has no effect with --optimizer adam' --optimizer adam --momentum 0.5
mistake '--fold and --folds' --folds 0-1 --fold 0
mistake '--save-probabilities requires' --save-probabilities
mistake '--iterations has no effect with the budget of --recipe fast' --resume --recipe fast --iterations 3
expect 4 "${train[@]}" -o "$SCRATCH/never/run" -q --init "$SCRATCH/nowhere"
err_has 'nowhere'
absent "$SCRATCH/never"
absent "$work"
expect 4 "${train[@]}" -o "$OUT" -q
err_has 'is a file'

# What shows only with a plan: before cases are preprocessed.
later() {
    local code=$1 words=$2
    shift 2
    expect "$code" "${train[@]}" -o "$SCRATCH/never/run" -q "$@"
    err_one_line
    err_has "$words"
    absent "$SCRATCH/never"
    [ -z "$(find "$work" -name '*.voltcase' | head -1)" ] || fail "cases were preprocessed"
}
later 2 'class weights' --class-weights 1,2
later 2 "no parameter name matches 'nothing" --freeze 'nothing.*'

# A run, and the same command with --resume: nothing to say, nothing to do.
own=(--recipe fast --epochs 2 --seed 4 --lr 0.002 --freeze 'encoder.stages.0.*')
expect 0 "${train[@]}" -o "$run" "${own[@]}"
before=$(fingerprint "$run")
expect 0 "${train[@]}" -o "$run" "${own[@]}" --resume -q
out_has 'has ended, nothing is left to do'
[ ! -s "$ERR" ] || fail "something is said: $(cat "$ERR")"
expect 0 "${train[@]}" -o "$run" --resume --json -q
out_json run epochs iterations finished
[ "$before" = "$(fingerprint "$run")" ] || fail "the run has changed"

# Options that it cannot take are named, all of them; others are not.
expect 2 "${train[@]}" -o "$run" --resume --epochs 3 --lr 0.5 --optimizer sgd --loss ce --seed 5 -q
err_one_line
for option in lr optimizer loss seed; do err_has "--$option"; done
! grep -qE -- '--(epochs|iterations|validation|precision|threads|freeze)' "$ERR" ||
    fail "options are named that agree or were not given"
refuses() {
    expect 2 "${train[@]}" -o "$run" --resume -q "$@"
    err_one_line
    err_has "$1"
}
refuses --recipe nnunet
refuses --iterations 7
refuses --validation 7
refuses --batch 7
refuses --schedule poly
refuses --warmup 0.5
refuses --weight-decay 0.5
refuses --clip 3
refuses --class-weights 1,2,3
refuses --batch-dice yes
refuses --foreground 1
refuses --dropout 0.5
refuses --mirror yes
refuses --no-augment
refuses --no-deep-supervision
refuses --init "$run"
refuses --freeze 'decoder.*'
refuses --lr-scale 'decoder.*=2'
refuses --precision bf16
[ "$before" = "$(fingerprint "$run")" ] || fail "the run has changed"

# A run that has ended is not taken for one of another configuration or fold.
expect 10 "${train[@]}" -o "$run" --resume -q -c 2d
err_has 'as configuration 3d_fullres, not 2d'
# The data set must be that of the run, also if the run has ended.
expect 10 "${train[@]}" -o "$run" --resume -q --channels other
err_has 'was trained on another data set: its channels or labels are not those of'
expect 2 "${train[@]}" -o "$run" --resume -q --dropout 0.3 --init elsewhere
err_has "--dropout \(0.3, the run has its plan's\), --init \(elsewhere, the run has none\)"
expect 10 "${train[@]}" -o "$run" --resume -q --fold 1
err_has 'other cases'
expect 0 "${train[@]}" -o "$run" --resume -q --fold 0 -c 3d_fullres
out_has 'nothing is left to do'

# Another configuration in the plan changes nothing for this run.
expect 0 "$VOLT" plan "$data" --work "$work" --add 2p5d -q
expect 0 "${train[@]}" -o "$run" --resume --epochs 3 --validate -q
out_has 'trained 3 epochs'
exists "$run/validation/summary.json"
expect 0 "${train[@]}" -o "$run" --resume --validate -q
out_has 'nothing is left to do'

# A run that was killed before its first iteration does not stand in the way.
expect 10 "${train[@]}" -o "$run" -q
err_has 'already holds a run; use --resume'

# Folds: the same, and their summary stays.
folds=("${train[@]}" -o "$SCRATCH/folds" --folds 0-1 --recipe fast --epochs 1 -q)
expect 0 "${folds[@]}"
before=$(fingerprint "$SCRATCH/folds")
expect 0 "${folds[@]}" --resume
out_has 'folds has ended, nothing is left to do'
out_has 'fold_1: 1 epoch in'
expect 2 "${folds[@]}" --resume --lr 0.5
err_has 'fold_0 keeps the recipe .*--lr'
expect 2 "${folds[@]}" --folds 2 --resume --lr 0.5
err_has 'fold_0 keeps the recipe .*--lr'
[ "$before" = "$(fingerprint "$SCRATCH/folds")" ] || fail "the folds have changed"

# More threads than processors: a warning, also with -q.
expect 0 "$VOLT" info "$data/imagesTr/$(ls "$data/imagesTr" | head -1)" -q
expect 0 "$VOLT" train "$data" --work "$work" -o "$run" --resume --threads 4000 -q
err_is "volt: warning: --threads 4000: this process may use $(nproc) processor$([ "$(nproc)" -eq 1 ] || echo s)"
done_testing
