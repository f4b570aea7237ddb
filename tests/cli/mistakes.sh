#!/bin/bash
# Mistakes in data sets and command lines: found before any work, named, with what helps.
. "$3/tests/cli/common.inc"

make_data 3
data=$SCRATCH/data work=$SCRATCH/work
ct=$SCRATCH/ct
expect 0 "$VOLT" phantom liver "$ct" --cases 3 --size 24 -q
train=(--epochs 1 --iterations 1 --validation 1 --recipe fast)

# A folder that does not exist: the same code and sentence in every command.
for command in check plan preprocess "dataset show"; do
    expect 4 "$VOLT" $command "$SCRATCH/nowhere"
    err_one_line
    err_has 'there is no data set .*/nowhere: no such folder; give the folder that holds'
done
expect 4 "$VOLT" train "$SCRATCH/nowhere" -o "$SCRATCH/run" --work "$work"
err_has 'there is no data set .*nowhere'
expect 4 "$VOLT" import dataset "$SCRATCH/nowhere" "$SCRATCH/imported"
err_has 'there is no data set .*nowhere'
expect 4 "$VOLT" check "$data/dataset.json"
err_has 'it is a file, not a folder'
expect 4 "$VOLT" check --images "$data/imagesTr" --labels "$SCRATCH/nowhere"
err_has 'there is no folder .*nowhere'
absent "$SCRATCH/run"
absent "$work"

# The same mistake has the same code in every command that takes such a thing.
made=$SCRATCH/made # holds a scan, a run and masks
expect 0 "$VOLT" phantom liver "$made" --cases 3 --size 16 -q
scan=$made/imagesTr/liver_001_0000.nii.gz truth=$made/labelsTr/liver_001.nii.gz
expect 0 "$VOLT" train "$made" -o "$made/run" "${train[@]}" -q
expect 0 "$VOLT" predict "$made/run" "$scan" -o "$made/masks" --no-mirror --save-probabilities -q
mkdir "$SCRATCH/empty"
printf text >"$SCRATCH/text"
head -c 300 "$scan" >"$SCRATCH/cut.nii.gz"
# takes_scan CODE SCAN, takes_folder CODE DATASET, takes_run CODE RUN, takes_masks CODE MASKS
each() {
    code=$1
    shift
    expect "$code" "$VOLT" "$@"
    err_one_line
}
takes_scan() {
    each "$1" info "$2"
    each "$1" convert "$2" "$SCRATCH/never.nii"
    each "$1" snapshot "$2" -o "$SCRATCH/never.png"
    each "$1" snapshot "$scan" "$2" -o "$SCRATCH/never.png"
    expect "$1" "$VOLT" predict "$made/run" "$2" -o "$SCRATCH/none" -q # says which cases failed
    each "$1" augment "$2" -o "$SCRATCH/never" -q
    each "$1" evaluate "$2" "$truth" -q
    each "$1" evaluate "$truth" "$2" -q
    each "$1" bench io "$2"
}
takes_folder() {
    for command in check "dataset show" "plan --work $SCRATCH/never" \
        "preprocess --work $SCRATCH/never" "train -o $SCRATCH/never"; do
        each "$1" $command "$2"
    done
    each "$1" import dataset "$2" "$SCRATCH/never"
    each "$1" predict "$made/run/fold_0" --validation "$2"
}
takes_run() {
    each "$1" predict "$2" "$scan" -o "$SCRATCH/never"
    each "$1" export model "$2" --format nnunet -o "$SCRATCH/never"
    each "$1" plan "$ct" --like "$2" --work "$SCRATCH/never" -q
    each "$1" train "$ct" --init "$2" -o "$SCRATCH/never" --work "$SCRATCH/never" -q
    each "$1" plot "$2"
    each "$1" best "$2" --truth "$made" -o "$SCRATCH/never"
}
takes_masks() {
    each "$1" ensemble "$2" "$made/masks" -o "$SCRATCH/never" -q
    each "$1" ensemble "$made/masks" "$2" -o "$SCRATCH/never" -q
    each "$1" postprocess find "$2" "$made/labelsTr"
}
takes_scan 4 "$SCRATCH/nowhere.nii.gz"
takes_scan 4 "$SCRATCH/nowhere/scan.nii.gz"
takes_scan 5 "$SCRATCH/cut.nii.gz"
takes_folder 4 "$SCRATCH/nowhere"
takes_folder 4 "$SCRATCH/text"
takes_folder 10 "$SCRATCH/empty"
takes_run 4 "$SCRATCH/nowhere"
takes_run 10 "$SCRATCH/empty"
takes_run 2 "$made"
takes_run 2 "$scan"
takes_masks 4 "$SCRATCH/nowhere"
takes_masks 4 "$SCRATCH/text"
takes_masks 10 "$SCRATCH/empty"
each 4 import model "$SCRATCH/nowhere" "$SCRATCH/never"
each 10 import model "$SCRATCH/empty" "$SCRATCH/never"
each 2 import model "$made/run" "$SCRATCH/never"
err_has 'is a run of VOLT already'
expect 10 "$VOLT" predict "$made/run" "$SCRATCH/empty" -o "$SCRATCH/never" -q
err_one_line
each 10 evaluate "$SCRATCH/empty" "$made/labelsTr"
each 10 evaluate "$made/labelsTr" "$SCRATCH/empty"
each 10 dataset show "$made/run" # its dataset.json has no cases
each 10 import dataset "$made/run" "$SCRATCH/never"
# Options that only the plan judges, before the scans are read.
for command in "plan --add 4d" "plan --add 2p5d --slices 4" "preprocess -c 4d" \
    "train -c 4d -o $SCRATCH/never"; do
    expect 2 "$VOLT" $command "$ct" --work "$SCRATCH/never" -q
    err_one_line
done
for device in cuda gpu cuda:0 cuda0 CUDA:1; do
    each 6 bench net --device $device
    each 6 train "$ct" -o "$SCRATCH/never" --device $device
done
for device in cpu:1 cpu:01 cpu:00000 cpu: cpu:x cpu0 CPU reference:2; do
    each 2 bench net --device $device
    each 2 bench ops --device $device
    each 2 train "$ct" -o "$SCRATCH/never" --device $device
done
# One device by three names: runs store one of them.
for device in cpu cpu:0 cpu:00; do
    expect 0 "$VOLT" bench net --patch 16,16,16 --repeat 1 --device $device
    expect 0 "$VOLT" train "$made" -o "$SCRATCH/device" "${train[@]}" --device $device --resume
    grep -q '"device": "cpu"' "$SCRATCH/device/summary.json" || fail "another name is stored"
    ! grep -q 'was started on device' "$ERR" || fail "the same device by another name is another"
done
for precision in fp16 tf32; do # the processor has none of these
    each 6 bench net --precision $precision
    err_has "the cpu device does not compute in $precision; on this machine it has fp32"
    each 6 bench ops --precision $precision
    err_has "does not compute in $precision"
    each 6 train "$ct" -o "$SCRATCH/never" --precision $precision --work "$SCRATCH/never-work"
    err_has "does not compute in $precision"
    absent "$SCRATCH/never-work"
    each 6 predict "$made/run" "$scan" -o "$SCRATCH/none" --precision $precision
    err_has "does not compute in $precision"
done
for precision in FP16 fp64 half; do
    each 2 bench net --precision $precision
    each 2 bench ops --precision $precision
    each 2 train "$ct" -o "$SCRATCH/never" --precision $precision
    each 2 predict "$made/run" "$scan" -o "$SCRATCH/none" --precision $precision
done
for out in "$SCRATCH/nowhere/never" "$SCRATCH/text/never"; do
    each 4 convert "$scan" "$out.nii"
    each 4 snapshot "$scan" -o "$out.png"
    each 4 plot "$made/run" -o "$out.svg"
    each 4 evaluate "$made/masks" "$made/labelsTr" -o "$out.json" -q
    each 4 export model "$made/run" --format onnx -o "$out.onnx"
done
for command in "predict $made/run $scan" "augment $scan" "ensemble $made/masks $made/masks" \
    "export model $made/run --format nnunet" "best $made/run --truth $made" \
    "train $ct --work $SCRATCH/never"; do
    for out in "$SCRATCH/text" "$SCRATCH/text/never"; do
        each 4 $command -o "$out"
        grep -q -e --work "$ERR" && fail "another work folder does not help"
    done
done
absent "$SCRATCH/never"
absent "$SCRATCH/never.nii"

# Nothing is created before the check has passed.
bad=$SCRATCH/bad
cp -r "$data" "$bad"
rm "$bad/imagesTr/brats_001_0002.nii.gz"
for command in plan preprocess train; do
    output=()
    [ $command != train ] || output=(-o "$SCRATCH/run" "${train[@]}")
    expect 10 "$VOLT" $command "$bad" -q "${output[@]}"
    absent "$bad/volt"
    expect 10 "$VOLT" $command "$bad" -q --work "$work" "${output[@]}"
    absent "$work"
    absent "$SCRATCH/run"
done

# At most ten lines of a kind; --json has all.
many=$SCRATCH/many
mkdir -p "$many/imagesTr" "$many/labelsTr"
printf '{"channel_names": {"0": "T1"}, "labels": {"background": 0, "a": 1}, "numTraining": 200,
    "file_ending": ".nii.gz"}' >"$many/dataset.json"
for ((i = 0; i < 200; i++)); do
    : >"$many/imagesTr/case_${i}_0000.nii.gz"
    cp "$data/labelsTr/brats_001.nii.gz" "$many/labelsTr/case_$i.nii.gz"
done
expect 10 "$VOLT" check "$many" -q
out_has '^error: and 190 more of this kind \(unreadable file\)$'
[ "$(grep -c 'imagesTr' "$OUT")" -eq 10 ] || fail "not ten lines of unreadable images"
expect 10 "$VOLT" check "$many" --json -q
[ "$(grep -o '"file": *"[^"]*imagesTr[^"]*"' "$OUT" | sort -u | wc -l)" -eq 200 ] || fail "--json lacks findings"
expect 10 "$VOLT" plan "$many" --work "$work"
err_has '^error: and 190 more of this kind'

# One case cannot be split; that is said before it is preprocessed.
one=$SCRATCH/one
cp -r "$data" "$one"
rm "$one"/imagesTr/brats_00[23]* "$one"/labelsTr/brats_00[23]*
sed -i 's/"numTraining": 3/"numTraining": 1/' "$one/dataset.json"
expect 2 "$VOLT" train "$one" -o "$SCRATCH/run" --work "$work" "${train[@]}" -q
err_has '^volt: 1 case cannot be split into training and validation.*--fold all$'
absent "$work"
absent "$SCRATCH/run"

# Damaged splits are found before the scans are read.
printf '[{"train": ["brats_001", "brats_002"], "val": ["brats_002"]}]' >"$SCRATCH/splits.json"
cp -r "$ct" "$SCRATCH/split"
printf '[{"train": ["liver_001", "liver_002"], "val": ["liver_002"]}]' \
    >"$SCRATCH/split/splits_final.json"
expect 5 "$VOLT" train "$SCRATCH/split" -o "$SCRATCH/run" --work "$work" "${train[@]}" -q
err_has 'split/splits_final.json: .*"liver_002", which is in this fold already'
absent "$work"

# Folds above 4 exist where the splits have them; a missing fold is reported, also with -q.
{
    printf '['
    for ((i = 0; i < 8; i++)); do
        printf '%s{"train": ["liver_00%d"], "val": ["liver_00%d"]}' "${comma-}" \
            $((i % 3 + 1)) $(((i + 1) % 3 + 1))
        comma=', '
    done
    printf ']'
} >"$SCRATCH/split/splits_final.json"
expect 0 "$VOLT" train "$SCRATCH/split" -o "$SCRATCH/seven" --work "$work" "${train[@]}" -q --fold 7
err_has 'warning: fold 7: 1 of 3 cases of .* is in neither list of .*splits_final.json'
expect 0 "$VOLT" train "$SCRATCH/split" -o "$SCRATCH/folds" --work "$work" "${train[@]}" -q \
    --folds 6,12,all
exists "$SCRATCH/folds/fold_6/checkpoint_latest.safetensors"
exists "$SCRATCH/folds/fold_12/checkpoint_latest.safetensors"
exists "$SCRATCH/folds/fold_all/checkpoint_latest.safetensors"
err_has 'warning: fold 12: .*splits_final.json has 8 folds, 0 to 7; a random split'
for fold in x -1 5-4 1,2 1000 ''; do
    expect 2 "$VOLT" train "$ct" -o "$SCRATCH/run" "--fold=$fold"
    err_one_line
done

# CASE_0000 to CASE_0003 are one case, whatever the network takes.
run=$SCRATCH/seven
expect 10 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/out"
err_has 'brats_001_0003.nii.gz is channel 3 of case brats_001; the network takes 1 channel'
absent "$SCRATCH/out"
mkdir "$SCRATCH/alone"
cp "$ct/imagesTr/liver_001_0000.nii.gz" "$SCRATCH/alone/liver_0007.nii.gz"
expect 0 "$VOLT" predict "$run" "$SCRATCH/alone" -o "$SCRATCH/out" --no-mirror -q
err_has 'warning: .*liver_0007.nii.gz is taken as a case of its own'
exists "$SCRATCH/out/liver_0007.nii.gz"

# What another command has to create is named.
expect 10 "$VOLT" best "$run" --truth "$ct" -o "$SCRATCH/best"
err_has "has no predictions in fold_K/validation; create them with 'volt train --validate"
expect 10 "$VOLT" ensemble "$SCRATCH/out" "$SCRATCH/out" -o "$SCRATCH/mean"
err_has 'contains no probabilities \(CASE.npz\); predict with --save-probabilities'

# Hounsfield units without the name: a warning with the remedy, which works.
sed 's/"CT"/"image"/' "$ct/dataset.json" >"$SCRATCH/dataset.json"
cp -r "$ct" "$SCRATCH/unnamed" && cp "$SCRATCH/dataset.json" "$SCRATCH/unnamed/dataset.json"
unnamed=$SCRATCH/unnamed
expect 0 "$VOLT" plan "$unnamed" --work "$SCRATCH/hu" -q
err_has 'warning: .*/unnamed: channel 0, "image", has values from .* CT in Hounsfield.*name it with --channels CT'
expect 0 "$VOLT" plan "$unnamed" --work "$SCRATCH/hu" -q --channels CT
err_has 'plans.json normalizes channel 0, "CT", by ZScore.*--replan'
expect 0 "$VOLT" plan "$unnamed" --work "$SCRATCH/hu" -q --channels CT --replan
err_is ''
grep -q CTNormalization "$SCRATCH/hu/plans.json" || fail "not planned as CT"

# A label away from its image.
shifted=$SCRATCH/shifted
cp -r "$ct" "$shifted"
expect 0 "$VOLT" convert "$ct/labelsTr/liver_001.nii.gz" "$SCRATCH/raw.nii" --labels -q
# the sform's x offset (float32 at byte 292)
printf '\x00\x00\xc8\x42' | dd of="$SCRATCH/raw.nii" bs=1 seek=292 conv=notrunc status=none
printf '\x00\x00\xc8\x42' | dd of="$SCRATCH/raw.nii" bs=1 seek=268 conv=notrunc status=none
expect 0 "$VOLT" convert "$SCRATCH/raw.nii" "$shifted/labelsTr/liver_001.nii.gz" --labels -q
expect 10 "$VOLT" check "$shifted" -q
out_has '^error: .*liver_001.nii.gz lies [0-9.]* mm away from .*liver_001_0000.*--allow-shift'
expect 0 "$VOLT" check "$shifted" -q --allow-shift
out_has '^warning: .*liver_001.nii.gz lies [0-9.]* mm away'
out_lacks 'accept them with'
expect 0 "$VOLT" preprocess "$shifted" -q --allow-shift --work "$SCRATCH/shift"

# Paths that leave the data set.
outside=$SCRATCH/outside
mkdir -p "$outside"
printf '{"channel_names": {"0": "CT"}, "labels": {"background": 0, "liver": 1, "tumor": 2},
    "file_ending": ".nii.gz", "dataset": {' >"$outside/dataset.json"
for i in 1 2 3; do
    printf '%s"c%d": {"images": ["%s/imagesTr/liver_00%d_0000.nii.gz"],
        "label": "../ct/labelsTr/liver_00%d.nii.gz"}' "${separator-}" $i "$ct" $i $i
    separator=', '
done >>"$outside/dataset.json"
printf '}}' >>"$outside/dataset.json"
expect 10 "$VOLT" check "$outside" -q
err_has 'dataset.json: .*which leaves the data set.s folder; .*--allow-outside'
expect 0 "$VOLT" check "$outside" -q --allow-outside
out_has '^note: dataset.json has paths that leave its folder, such as'
expect 0 "$VOLT" train "$outside" --allow-outside --work "$SCRATCH/outside_work" -o "$SCRATCH/outside_run" \
    --folds 0 --epochs 1 --iterations 1 --validation 1 --recipe fast -q
for tail in "$outside -o $SCRATCH/outside_masks" "--validation $outside --work $SCRATCH/outside_work"; do
    # shellcheck disable=SC2086
    expect 10 "$VOLT" predict "$SCRATCH/outside_run" $tail --no-mirror -q
    err_has 'leaves the data set.s folder; .*--allow-outside'
    # shellcheck disable=SC2086
    expect 0 "$VOLT" predict "$SCRATCH/outside_run" $tail --no-mirror -q --allow-outside
done
expect 10 "$VOLT" evaluate "$SCRATCH/outside_masks" "$outside" --no-surface -q
err_has 'leaves the data set.s folder; .*--allow-outside'
expect 0 "$VOLT" evaluate "$SCRATCH/outside_masks" "$outside" --no-surface -q --allow-outside
sed "s|\"$ct|\"\${HERE}|; s|\"\.\./ct|\"\$HERE|" "$outside/dataset.json" >"$SCRATCH/env.json"
cp "$SCRATCH/env.json" "$outside/dataset.json"
expect 0 env HERE="$ct" "$VOLT" check "$outside" -q
[ "$(grep -c '^note: .*environment variable' "$OUT")" -eq 1 ] || fail "not reported once"

# The work folder: --work, then VOLT_WORK, then inside the data set, which is said.
expect 0 env VOLT_WORK="$SCRATCH/variable" "$VOLT" plan "$ct"
exists "$SCRATCH/variable/plans.json"
absent "$ct/volt"
expect 0 env VOLT_WORK="$SCRATCH/variable2" "$VOLT" plan "$ct" --work "$SCRATCH/option"
exists "$SCRATCH/option/plans.json"
absent "$SCRATCH/variable2"
expect 0 "$VOLT" plan "$ct"
err_has 'work folder: .*/ct/volt, inside the data set; --work DIR or VOLT_WORK'
printf x >"$SCRATCH/file"
expect 4 "$VOLT" plan "$ct" --work "$SCRATCH/file/deep"
err_has 'is not writable.*--work'

# A run in place of a data set, a file of another program in place of a run, nnU-Net's words.
for command in check plan preprocess "dataset show" "snapshot -o $SCRATCH/no.png"; do
    # shellcheck disable=SC2086
    expect 10 "$VOLT" $command "$SCRATCH/outside_run"
    err_is "volt: $SCRATCH/outside_run is a run, not a data set"
done
expect 10 "$VOLT" train "$SCRATCH/outside_run" -o "$SCRATCH/no"
expect 10 "$VOLT" import dataset "$SCRATCH/outside_run/fold_0" "$SCRATCH/no"
err_has 'fold_0 is a run, not a data set'
for file in model.zip checkpoint_final.pth; do
    printf 'PK' >"$SCRATCH/$file"
    expect 2 "$VOLT" predict "$SCRATCH/$file" "$ct" -o "$SCRATCH/no"
    err_has "is a file of another program, .*: volt import model $SCRATCH/$file RUN"
    expect 2 "$VOLT" export model "$SCRATCH/$file" -o "$SCRATCH/no.onnx" --format onnx
done
expect 2 "$VOLT" train 4 3d_fullres 0
err_has "nnU-Net's call is here: volt train 4 -c 3d_fullres --fold 0 -o RUN"
expect 2 "$VOLT" plan_and_preprocess -d 4
err_has "is nnU-Net's; here it is 'volt plan', then 'volt train'"
expect 2 "$VOLT" export "$SCRATCH/outside_run"
err_has "has no subcommand .*; did you mean 'volt export model'"
expect 2 "$VOLT" import "$SCRATCH/model.zip" "$SCRATCH/no"
err_has "; 'volt import --help' lists its subcommands"
expect 5 "$VOLT" info "$ct"
err_has "'volt dataset show' describes a data set"
expect 5 "$VOLT" plot "$SCRATCH/outside_run/fold_0/checkpoint_latest.safetensors"
err_has 'is not the log of a run'
expect 4 "$VOLT" bench io "$ct/imagesTr/liver_001_0000.nii.gz" --dir "$SCRATCH/no"
err_has 'there is no folder '
out_is ''
absent "$SCRATCH/no"

# The work folder of another data set is not taken without a word.
expect 0 "$VOLT" phantom liver "$SCRATCH/four" --cases 4 --size 24 -q
expect 0 "$VOLT" plan "$SCRATCH/four" --work "$SCRATCH/option" -q
err_has 'plans.json was planned for other cases or channels than .*four has.*--replan'
sed 's/"name": "[^"]*"/"name": "Clinic"/' "$SCRATCH/four/dataset.json" >"$SCRATCH/clinic.json"
cp -r "$SCRATCH/four" "$SCRATCH/clinic" && mv "$SCRATCH/clinic.json" "$SCRATCH/clinic/dataset.json"
expect 0 "$VOLT" plan "$SCRATCH/four" --work "$SCRATCH/shared" -q
expect 0 "$VOLT" plan "$SCRATCH/clinic" --work "$SCRATCH/shared" -q
err_has 'plans.json was planned for the data set phantom_liver, not for Clinic.*--replan'
done_testing
