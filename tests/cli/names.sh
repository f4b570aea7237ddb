#!/bin/bash
# Names of labels follow a mask through every command, in formats that store them and in others.
. "$3/tests/cli/common.inc"

if [ ! -x "$(dirname "$VOLT")/volt-itk" ]; then
    echo "skipped: volt-itk was not built"
    exit 77
fi
export -n VOLT_ITK 2>/dev/null
make_data 4 24
data=$SCRATCH/data
# named MASK: it or what lies next to it names its labels.
named() {
    expect 0 "$VOLT" convert "$1" "$SCRATCH/named.nii" --labels -q
    grep -aq '"edema"$' "$SCRATCH/named.nii" || fail "$1 has lost the names of its labels"
}

# copy ENDING: the data set in another format, without tables next to its label files.
copy() {
    local to=$SCRATCH/set$1 folder file
    mkdir -p "$to/imagesTr" "$to/labelsTr"
    for folder in imagesTr labelsTr; do
        for file in "$data/$folder"/*.nii.gz; do
            expect 0 "$VOLT" convert "$file" "$to/$folder/$(basename "$file" .nii.gz)$1" -q
        done
    done
    sed 's/"file_ending": "[^"]*"/"file_ending": "'"$1"'"/' "$data/dataset.json" >"$to/dataset.json"
}

for ending in .nii.gz .nrrd; do
    from=$data
    [ $ending = .nii.gz ] || { copy $ending && from=$SCRATCH/set$ending; }
    to=$SCRATCH/out$ending
    mkdir -p "$to"
    named "$from/labelsTr/brats_001$ending"
    expect 0 "$VOLT" train "$from" -o "$to/run" --folds 0-1 --recipe fast --epochs 1 --iterations 1 \
        --validation 1 --batch 2 --validate --save-probabilities -q
    expect 0 "$VOLT" predict "$to/run" "$from/imagesTr" -o "$to/masks" --save-probabilities -q
    expect 0 "$VOLT" ensemble "$to/masks" "$to/masks" -o "$to/mean" -q
    expect 0 "$VOLT" best "$to/run" --truth "$from" -o "$to/best" -q
    expect 0 "$VOLT" postprocess apply "$to/masks" --steps "$to/best/run/postprocessing.json" \
        -o "$to/final" -q
    for folder in run/fold_0/validation masks mean best/run best/run/postprocessed final; do
        named "$(ls "$to/$folder"/brats_00?$ending | head -1)"
    done
    expect 0 "$VOLT" plot "$to/run" -o "$to/curves.svg" -q
    grep -q edema "$to/curves.svg" || fail "the curves of $to/run name no edema"
done

# A mask alone: its table is in the file, or a file next to it that is not replaced.
alone=$SCRATCH/alone
mkdir -p "$alone"
mask=$SCRATCH/out.nrrd/masks/brats_001.nrrd
for ending in .nii.gz .nii .seg.nrrd; do
    expect 0 "$VOLT" convert "$mask" "$alone/stored$ending" --labels
    err_is ''
    named "$alone/stored$ending"
done
[ "$(ls "$alone" | wc -l)" -eq 3 ] || fail "a table next to a mask that stores its own"
for ending in .nrrd .mha .mhd .nhdr; do
    expect 0 "$VOLT" convert "$mask" "$alone/m$ending" --labels
    err_has "^(NRRD|MetaImage) stores no names of labels; they are in $alone/m\.label$"
    named "$alone/m$ending"
    echo '    1  1 2 3  1  1  1    "swelling"' >"$alone/m.label"
    expect 0 "$VOLT" convert "$mask" "$alone/m$ending" --labels
    err_is ''
    grep -q swelling "$alone/m.label" || fail "a table is replaced"
    rm "$alone/m.label"
done
# Without other files: postprocessing keeps the table of each mask, and evaluate shows it.
mkdir -p "$SCRATCH/one"
expect 0 "$VOLT" convert "$mask" "$SCRATCH/one/brats_001.mha" --labels -q
expect 0 "$VOLT" postprocess apply "$SCRATCH/one" \
    --steps "$SCRATCH/out.nrrd/best/run/postprocessing.json" -o "$SCRATCH/two" -q
named "$SCRATCH/two/brats_001.mha"
mkdir -p "$SCRATCH/plain"
expect 0 "$VOLT" convert "$data/labelsTr/brats_001.nii.gz" "$SCRATCH/plain/brats_001.mha" -q
expect 0 "$VOLT" evaluate "$SCRATCH/two" "$SCRATCH/plain"
out_has '^edema '
done_testing
