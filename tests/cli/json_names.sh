#!/bin/bash
# Names of files and folders in Latin-1, in every command with --json: valid JSON, with U+FFFD for
# the bytes that are not UTF-8.
. "$3/tests/cli/common.inc"

bad=$'\xe9'
make_data 4
data=$SCRATCH/d$bad
mv "$SCRATCH/data" "$data"
for file in "$data"/*Tr/brats_002*; do
    mv "$file" "${file/002/${bad}02}"
done
make_data 4
good=$SCRATCH/data
run=$SCRATCH/r$bad

# json KEY...: the command's output has these keys, and the name; one document of several lines
# counts as one.
json() {
    local lines
    lines=$(tr -d '\n' <"$OUT")
    printf '%s\n' "$lines" >"$OUT"
    out_json "$@"
    out_has 'uFFFD'
}

expect 0 "$VOLT" info --json "$data/imagesTr/brats_${bad}02_0000.nii.gz"
json file size
expect 4 "$VOLT" info --json "$SCRATCH/none$bad.nii"
expect 0 "$VOLT" dataset show --json "$data"
json dataset cases
out_has '"id":"brats_\\uFFFD02","images":\["[^"]*/d\\uFFFD/imagesTr/brats_\\uFFFD02_0000.nii.gz"'
out_has '"labels":"[^"]*/labelsTr/brats_\\uFFFD02.nii.gz"'
expect 0 "$VOLT" check --json "$data"
json dataset findings
expect 0 "$VOLT" evaluate --json "$data/labelsTr" "$data/labelsTr" -o "$SCRATCH/scores$bad.json"
json mean worst_first
out_has 'prediction_file": ?"[^"]*/labelsTr/brats_\\uFFFD02.nii.gz"'
grep -q 'reference_file": "[^"]*/labelsTr/brats_\\uFFFD02.nii.gz"' "$SCRATCH/scores$bad.json" ||
    fail "summary.json lacks the name"
expect 0 "$VOLT" import dataset --json "$data" "$SCRATCH/import$bad"
json dataset cases
expect 0 "$VOLT" plan --json "$data"
expect 0 "$VOLT" preprocess --json "$data"
json folder cases
# What is read back keeps names as they are, or refuses them.
expect 10 "$VOLT" train --json "$data" -o "$SCRATCH/no" --folds 0 --recipe fast --epochs 1 --iterations 1
err_has 'splits_final.json cannot hold the name of case brats_\?02, which is not UTF-8; rename its files$'
out_is ''

expect 0 "$VOLT" train --json "$good" -o "$run" --folds 0-1 --recipe fast --epochs 1 --iterations 1 \
    --validation 1 --batch 2 --validate --save-probabilities
json run folds
expect 0 "$VOLT" plot --json "$run" -o "$SCRATCH/plot$bad.svg"
json runs output
cp -r "$data/imagesTr" "$SCRATCH/scans$bad"
head -c 100 "$data/imagesTr/brats_${bad}02_0000.nii.gz" >"$SCRATCH/scans$bad/brats_${bad}02_0000.nii.gz"
expect 5 "$VOLT" predict --json "$run" "$SCRATCH/scans$bad" -o "$SCRATCH/p$bad" --save-probabilities
json output failed
out_has '"case":"brats_\\uFFFD02"'
expect 0 "$VOLT" ensemble --json "$SCRATCH/p$bad" "$SCRATCH/p$bad" -o "$SCRATCH/e$bad"
json output cases
expect 0 "$VOLT" best --json "$run" --truth "$good" -o "$SCRATCH/best$bad"
json candidates best
out_has '"candidates":\{"[^"]*r\\uFFFD":'
grep -q '"all_results": {}' "$SCRATCH/best$bad/best.json" && fail "best.json lacks the candidate"
expect 0 "$VOLT" postprocess apply --json "$SCRATCH/p$bad" -o "$SCRATCH/a$bad" \
    --steps "$(find "$SCRATCH/best$bad" -name postprocessing.json)"
json output steps
expect 0 "$VOLT" export model --json "$run" -o "$SCRATCH/x$bad" --format nnunet
json output folds
expect 0 "$VOLT" import model --json "$SCRATCH/x$bad" "$SCRATCH/m$bad"
json run folds
expect 0 "$VOLT" augment --json "$data/imagesTr/brats_001_0000.nii.gz" -o "$SCRATCH/samples$bad"
json folder samples

head -c 100 "$data/labelsTr/brats_001.nii.gz" >"$data/labelsTr/brats_${bad}02.nii.gz"
expect 10 "$VOLT" check --json "$data"
json findings
out_has '"file":"[^"]*/labelsTr/brats_\\uFFFD02.nii.gz"'
done_testing
