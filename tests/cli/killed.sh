#!/bin/bash
# kill -9 at any moment of an import or of preprocessing leaves nothing that is taken for
# finished, and the same command then ends as if nothing had happened. (Training: train.sh and
# nets3d.train_recipes; its validation: validate.sh; prediction: best.sh.)
. "$3/tests/cli/common.inc"

# contents FOLDER: names and contents of everything in it.
contents() {
    (cd "$1" && find . -type f -print0 | sort -z | xargs -0 cksum)
}

# A data set, copied: without its dataset.json it is none.
expect 0 "$VOLT" phantom brats "$SCRATCH/data" --cases 6 --size 40 --seed 5 -q
import=("$VOLT" import dataset "$SCRATCH/data" --copy --threads 1 -q)
expect 0 "${import[@]}" "$SCRATCH/whole"
contents "$SCRATCH/whole" >"$SCRATCH/whole.sums"
copied() { count "$SCRATCH"/copy/images*/*.nii.gz && [ $COUNT -ge $wanted ]; }
finished() { [ -e "$SCRATCH/copy/dataset.json" ]; }
reset() { rm -rf "$SCRATCH/copy"; }
for wanted in 1 8 16; do
    reset
    kill_between copied finished reset "${import[@]}" "$SCRATCH/copy"
    ! "$VOLT" check "$SCRATCH/copy" -q >"$OUT" 2>"$ERR" || fail "half a data set was taken for one"
    # What such a moment may leave besides.
    mkdir -p "$SCRATCH/copy/imagesTr"
    printf x >"$SCRATCH/copy/imagesTr/.volt-tmp-00000000-1-1-0"
    printf x >"$SCRATCH/copy/.volt-tmp-00000000-1-1-0"
    printf x >"$SCRATCH/copy/.volt-lock"
    expect 0 "${import[@]}" "$SCRATCH/copy"
    no_leftovers "$SCRATCH/copy"
    contents "$SCRATCH/copy" >"$SCRATCH/copy.sums"
    expect 0 cmp "$SCRATCH/whole.sums" "$SCRATCH/copy.sums"
done

# A model: there is no folder of that name before it is whole.
# Many folds take long enough to be caught.
model=$SCRATCH/nnunet
mkdir "$model"
cp "$SOURCE"/testdata/models/resampled/model/*.json "$model"
for fold in {0..29}; do
    cp -r "$SOURCE/testdata/models/resampled/model/fold_0" "$model/fold_$fold"
done
expect 0 "$VOLT" import model "$model" "$SCRATCH/model" -q
contents "$SCRATCH/model" >"$SCRATCH/model.sums"
staged() { count "$SCRATCH"/.volt-tmp-*$inside && [ $COUNT -gt 0 ]; }
finished() { [ -e "$SCRATCH/run" ]; }
reset() { rm -rf "$SCRATCH"/run "$SCRATCH"/.volt-tmp-*; }
for inside in '' '/*' '/fold_15/*'; do
    reset
    kill_between staged finished reset "$VOLT" import model "$model" "$SCRATCH/run" -q
    expect 0 "$VOLT" import model "$model" "$SCRATCH/run" -q
    contents "$SCRATCH/run" >"$SCRATCH/run.sums"
    expect 0 cmp "$SCRATCH/model.sums" "$SCRATCH/run.sums"
    ! staged || fail "a half import was left behind"
done

# Fingerprint, plan and prepared cases.
prepare=("$VOLT" preprocess "$SCRATCH/data" --threads 1 -q)
expect 0 "${prepare[@]}" --work "$SCRATCH/work"
contents "$SCRATCH/work" >"$SCRATCH/work.sums"
started() { [ -d "$SCRATCH/again" ]; }
planned() { [ -e "$SCRATCH/again/plans.json" ]; }
stored() { count "$SCRATCH"/again/*/*.voltcase && [ $COUNT -ge $wanted ]; }
finished() { count "$SCRATCH"/again/*/*.voltcase && [ $COUNT -eq 6 ]; }
reset() { rm -rf "$SCRATCH/again"; }
kill_between started planned reset "${prepare[@]}" --work "$SCRATCH/again"
for wanted in 1 3; do
    kill_between stored finished reset "${prepare[@]}" --work "$SCRATCH/again"
done
expect 0 "${prepare[@]}" --work "$SCRATCH/again"
no_leftovers "$SCRATCH/again"
contents "$SCRATCH/again" >"$SCRATCH/again.sums"
expect 0 cmp "$SCRATCH/work.sums" "$SCRATCH/again.sums"
done_testing
