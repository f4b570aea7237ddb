#!/bin/bash
# volt train --resume: every option that the command has is applied, agrees with the run, or is
# an error that names it; on a run that has ended and on one that has not.
. "$3/tests/cli/common.inc"

expect 0 "$VOLT" phantom liver "$SCRATCH/data" --cases 4 --size 16 --seed 3 -q
work=$SCRATCH/work
base=(--threads 1 --work "$work" -q)
train=("$VOLT" train "$SCRATCH/data" "${base[@]}")
tiny=(--recipe fast --epochs 1 --iterations 2 --validation 1 --precision fp32)
expect 0 "${train[@]}" -o "$SCRATCH/source" "${tiny[@]}"
expect 0 "${train[@]}" -o "$SCRATCH/ended" "${tiny[@]}" --init "$SCRATCH/source" --init-mode tolerant
cp -r "$SCRATCH/ended" "$SCRATCH/begun" # all epochs, but not their summary
rm "$SCRATCH/begun/summary.json"

KNOWN=
# again KIND CODE OPTION...: resumes a copy of the run KIND.
again() {
    run=$SCRATCH/$1-copy
    rm -rf "$run"
    cp -a "$SCRATCH/$1" "$run"
    expect "$2" "${train[@]}" -o "$run" --resume "${@:3}"
}
# applied OPTION...: the run takes it, and nothing is said against it.
applied() {
    KNOWN+=" $1"
    for kind in ended begun; do
        again $kind 0 "$@"
        [ ! -s "$ERR" ] || fail "$*: something is said: $(head -1 "$ERR")"
    done
}
# refused CODE OPTION...: the sentence names the first option, and the run stays as it is.
refused() {
    KNOWN+=" $2"
    for kind in ended begun; do
        again $kind "$1" "${@:2}"
        err_one_line
        err_has "$2"
        [ "$(fingerprint "$run")" = "$(fingerprint "$SCRATCH/$kind")" ] || fail "the run has changed"
    done
}
# other CODE WORDS OPTION...: as refused, but the sentence says what the option led to.
other() {
    KNOWN+=" $3"
    for kind in ended begun; do
        again $kind "$1" "${@:3}"
        err_has "$2"
    done
}
fixed() { # OPTION OTHER SAME
    refused 2 "$1" "$2"
    applied "$1" "$3"
}

fixed --recipe nnunet fast
fixed --iterations 7 2
fixed --validation 7 1
fixed --batch 7 2
fixed --accumulate 2 1
fixed --optimizer sgd adamw
fixed --lr 0.5 0.001
fixed --schedule poly cosine
fixed --warmup 0.5 0.05
fixed --weight-decay 0.5 0.01
refused 2 --momentum 0.5 --optimizer sgd
fixed --clip 3 12
fixed --loss ce dice_ce
refused 2 --class-weights 1,2,3
refused 2 --batch-dice yes
fixed --foreground 1 0.33
refused 2 --dropout 0.5
fixed --mirror yes no
refused 2 --no-augment
refused 2 --no-deep-supervision
fixed --init "$SCRATCH/ended" "$SCRATCH/source"
applied --init "$SCRATCH/../$(basename "$SCRATCH")/source"
refused 2 --init-mode strict --init "$SCRATCH/source"
err_has 'the run has tolerant'
applied --init-mode tolerant --init "$SCRATCH/source"
refused 2 --freeze 'decoder.*'
refused 2 --lr-scale 'decoder.*=2'
fixed --precision bf16 fp32
fixed --seed 5 0
applied --epochs 1
applied --epochs 2
applied --budget 10s
applied --validate
applied --save-probabilities --validate
exists "$run/validation/summary.json"
refused 2 --save-probabilities
applied --loader-threads 2
applied --loader-threads 0
applied --ranks 2 --mesh data=2
applied --mesh data=1
applied --resume
applied --json
applied --verbose

# Which run is meant.
other 10 'as configuration 3d_fullres, not 2d' --configuration 2d
applied --configuration 3d_fullres
other 10 'other cases' --fold 1
other 10 'other cases' --fold all
applied --fold 0
other 10 'holds a single run, not folds' --folds 0
other 2 'refines no masks' --previous "$SCRATCH/source"

# Which data set is meant, and how it is read.
applied --layout nnunet
other 10 'no training case|is not a data set|those of' --layout brats
refused 10 --label-table 0=background,1=liver,2=tumour
refused 10 --label-thresholds 1,2
refused 10 --label-flip xy
refused 10 --resample-channels
refused 10 --allow-shift
applied --allow-outside
applied --target labels
other 2 'has no regions' --target regions
applied --channels CT
for kind in ended begun; do # the plan's normalization is a warning of its own
    again $kind 10 --channels other
    err_has 'those of .* with --channels$'
done
for kind in ended begun; do
    run=$SCRATCH/$kind
    expect 0 "$VOLT" train --images "$SCRATCH/data/imagesTr" --labels "$SCRATCH/data/labelsTr" "${base[@]}" \
        --channels CT --label-table 0=background,1=liver,2=tumor -o "$run" --resume
done
KNOWN+=" --images --labels --output --threads --work --quiet --help"

# An option that none of the above knows needs a line there, and one in the manual.
expect 0 "$VOLT" train --help
options=$(grep -oE '^ +(-[a-z], +)?--[a-z-]+' "$OUT" | grep -oE -- '--.*')
[ "$(echo "$options" | wc -l)" -ge 40 ] || fail "the options of volt train are not found"
manual=$(sed -n '/^### Options on --resume/,/^## /p' "$SOURCE/docs/training.md")
for option in $options; do
    case " $KNOWN " in *" $option "*) ;; *) fail "$option: what does --resume do with it?" ;; esac
    case $option in --help | --json | --quiet | --verbose) continue ;; esac
    echo "$manual" | grep -qF -- "\`$option\`" || fail "$option: docs/training.md does not list it"
done
done_testing
