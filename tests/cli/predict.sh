#!/bin/bash
# volt predict: bad cases among good ones, calls that need another, formats, and names of labels.
. "$3/tests/cli/common.inc"

make_data 3 16
data=$SCRATCH/data run=$SCRATCH/run in=$SCRATCH/in
expect 0 "$VOLT" train "$data" --work "$SCRATCH/work" -o "$run" --threads 2 --precision fp32 --batch 2 \
    --epochs 1 --iterations 1 --validation 1 --fold all -q
fast=(--no-mirror --precision fp32 --threads 2)

# Three good cases, and between them a damaged header, damaged voxels and a channel of another size.
mkdir "$in"
cp "$data"/imagesTr/* "$in"
for c in 0 1 2 3; do
    cp "$data/imagesTr/brats_001_000$c.nii.gz" "$in/a_voxels_000$c.nii.gz"
    cp "$data/imagesTr/brats_001_000$c.nii.gz" "$in/brats_0015_000$c.nii.gz"
    cp "$data/imagesTr/brats_001_000$c.nii.gz" "$in/z_header_000$c.nii.gz"
done
head -c 400 "$data/imagesTr/brats_001_0002.nii.gz" >"$in/a_voxels_0002.nii.gz"
expect 0 "$VOLT" convert "$data/imagesTr/brats_001_0001.nii.gz" "$in/brats_0015_0001.nii.gz" --spacing 2,2,2
echo nothing >"$in/z_header_0000.nii.gz"
expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/out" "${fast[@]}"
out_has '^3 masks in '
err_has '^not predicted:$'
err_has '^  a_voxels: .*a_voxels_0002\.nii\.gz'
err_has '^  brats_0015: .*brats_0015_0001\.nii\.gz'
err_has '^  z_header: .*z_header_0000\.nii\.gz'
err_has '^volt: 3 of 6 cases were not predicted; the others are complete$'
expect 0 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/good" "${fast[@]}"
exists "$SCRATCH/out/dataset.json"
exists "$SCRATCH/out/plans.json"

# Where no case can be predicted, nothing describes masks that do not exist, and what describes
# those of an earlier call stays.
mkdir "$SCRATCH/all_bad" "$SCRATCH/earlier"
for c in 0 1 2 3; do
    cp "$in/a_voxels_0002.nii.gz" "$SCRATCH/all_bad/a_000$c.nii.gz"
    cp "$in/a_voxels_0002.nii.gz" "$SCRATCH/all_bad/b_000$c.nii.gz"
done
echo earlier >"$SCRATCH/earlier/dataset.json"
for out in none earlier; do
    expect 5 "$VOLT" predict "$run" "$SCRATCH/all_bad" -o "$SCRATCH/$out" "${fast[@]}" --separate-regions
    err_has '^volt: none of the 2 cases was predicted'
    absent "$SCRATCH/$out/plans.json"
done
absent "$SCRATCH/none/dataset.json"
[ "$(cat "$SCRATCH/earlier/dataset.json")" = earlier ] || fail "dataset.json was replaced"

# Inputs and options are judged before the network is opened, here one that cannot be.
mkdir "$SCRATCH/broken" "$SCRATCH/empty"
head -c 100 "$run/checkpoint_latest.safetensors" >"$SCRATCH/broken/checkpoint_latest.safetensors"
expect 10 "$VOLT" predict "$SCRATCH/broken" "$SCRATCH/empty" -o "$SCRATCH/none2"
err_is "volt: $SCRATCH/empty holds no scan"
expect 2 "$VOLT" predict "$SCRATCH/broken" "$in" -o "$SCRATCH/none2" --part 2/1
err_has 'is not I/N'
expect 5 "$VOLT" predict "$SCRATCH/broken" "$in" "$SCRATCH/empty" -o "$SCRATCH/none2"
err_has 'checkpoint_latest.safetensors'
absent "$SCRATCH/none2"

for id in 001 002 003; do
    cmp -s "$SCRATCH/out/brats_$id.nii.gz" "$SCRATCH/good/brats_$id.nii.gz" || fail "brats_$id differs"
done
for id in a_voxels brats_0015 z_header; do absent "$SCRATCH/out/$id.nii.gz"; done
no_leftovers "$SCRATCH/out"
expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/out" "${fast[@]}" --json -q --skip-existing
out_json output cases skipped failed seconds
grep -q '"failed":\[{"case":"a_voxels","error":"' "$OUT" || fail "the JSON lists no failed case"
# A mask of an earlier call is reported where its case fails now; ten failures are logged as they
# happen.
cp "$SCRATCH/out/brats_001.nii.gz" "$SCRATCH/out/z_header.nii.gz"
expect 5 "$VOLT" predict "$run" "$in" -o "$SCRATCH/out" "${fast[@]}" -q
err_has '^volt: warning: .*out/z_header.nii.gz is of an earlier prediction: its case was not predicted now$'
mkdir "$SCRATCH/many"
cp "$data"/imagesTr/brats_001_* "$SCRATCH/many"
for n in a b c d e f g h i j k l; do
    for c in 0 1 2 3; do echo nothing >"$SCRATCH/many/bad_${n}_000$c.nii.gz"; done
done
expect 5 "$VOLT" predict "$run" "$SCRATCH/many" -o "$SCRATCH/out_many" "${fast[@]}"
[ "$(grep -c '^case bad_. is left out: ' "$ERR")" -eq 10 ] || fail "not ten lines"
err_has '^more cases are left out$'
err_has '^  and 2 more$'
# One case alone fails with its own code; cases of one kind do, too.
expect 5 "$VOLT" predict "$run" "$in"/z_header_*.gz -o "$SCRATCH/none" "${fast[@]}" -q
err_lacks_list() { ! grep -q 'not predicted' "$ERR" || fail "one case is listed"; }
err_lacks_list
expect 10 "$VOLT" predict "$run" "$in"/brats_0015_*.gz -o "$SCRATCH/none" "${fast[@]}" -q

# The format of the masks.
expect 0 "$VOLT" predict "$run" "$data"/imagesTr/brats_001_*.gz -o "$SCRATCH/mha" "${fast[@]}" --ending .nii -q
exists "$SCRATCH/mha/brats_001.nii"
expect 2 "$VOLT" predict "$run" "$data"/imagesTr/brats_001_*.gz -o "$SCRATCH/never" "${fast[@]}" --ending .jpg -q
err_has "masks cannot be written as '.jpg'"

# Names for viewers: in the masks, and in files on request.
expect 0 "$VOLT" predict "$run" "$data"/imagesTr/brats_001_*.gz -o "$SCRATCH/named" "${fast[@]}" -q \
    --label-files snap,ctbl,seg-nrrd --separate-regions
exists "$SCRATCH/named/segmentations/brats_001.seg.nrrd"
grep -aq '^Segment[0-9]_Name:=edema$' "$SCRATCH/named/segmentations/brats_001.seg.nrrd" || fail "no segment is the edema"
grep -q '"edema"$' "$SCRATCH/named/labels.label" || fail "labels.label names no edema"
grep -q '^[0-9] edema [0-9]* [0-9]* [0-9]* 255$' "$SCRATCH/named/labels.ctbl" || fail "labels.ctbl names no edema"
[ "$(gzip -dc "$SCRATCH/named/brats_001.nii.gz" | od -An -td2 -j68 -N2 | tr -d ' ')" = 1002 ] ||
    fail "the intent is not that of labels"
mkdir "$SCRATCH/lone"
cp "$SCRATCH/named/brats_001.nii.gz" "$SCRATCH/lone"
expect 0 "$VOLT" convert "$SCRATCH/lone/brats_001.nii.gz" "$SCRATCH/lone/again.nii" --labels --label-files snap,seg-nrrd
grep -q '"edema"$' "$SCRATCH/lone/again.label" || fail "convert loses the names"
exists "$SCRATCH/lone/again.seg.nrrd"
cp "$data/labelsTr/brats_001.nii.gz" "$SCRATCH/lone/truth.nii.gz"
expect 0 "$VOLT" evaluate "$SCRATCH/lone/brats_001.nii.gz" "$SCRATCH/lone/truth.nii.gz" --no-surface
out_has '^edema '
expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" --label-files itk
err_has "'itk' is not snap, ctbl or seg-nrrd"
expect 0 "$VOLT" evaluate "$SCRATCH/named" "$data/labelsTr" --no-surface

# A data set as input: imagesTs if there is one.
cp -r "$data" "$SCRATCH/set"
mkdir "$SCRATCH/set/imagesTs"
for c in 0 1 2 3; do cp "$data/imagesTr/brats_002_000$c.nii.gz" "$SCRATCH/set/imagesTs/t_000$c.nii.gz"; done
expect 0 "$VOLT" predict "$run" "$SCRATCH/set" -o "$SCRATCH/tests" "${fast[@]}"
out_has '^1 mask in '
exists "$SCRATCH/tests/t.nii.gz"

# A case that lacks a channel is left out as well, among files and in a data set.
mkdir "$SCRATCH/lacks"
cp "$data"/imagesTr/brats_00[12]_*.gz "$SCRATCH/lacks"
rm "$SCRATCH/lacks/brats_002_0002.nii.gz"
expect 5 "$VOLT" predict "$run" "$SCRATCH/lacks" -o "$SCRATCH/lacks.out" "${fast[@]}" -q
err_has '^  brats_002: case brats_002 lacks channel 2: .*brats_002_0003'
exists "$SCRATCH/lacks.out/brats_001.nii.gz"
cp -r "$data" "$SCRATCH/holes"
rm "$SCRATCH/holes/imagesTr/brats_002_0001.nii.gz"
expect 5 "$VOLT" predict "$run" "$SCRATCH/holes" -o "$SCRATCH/holes.out" "${fast[@]}" -q --json
err_has '^  brats_002: case brats_002 lacks .*brats_002_0001'
out_has '"failed": *\[\{"case": *"brats_002"'
rm "$SCRATCH/lacks/brats_001_0003.nii.gz"
expect 10 "$VOLT" predict "$run" "$SCRATCH/lacks" -o "$SCRATCH/never" "${fast[@]}" -q
err_has '^volt: case brats_001 lacks channel 3'
absent "$SCRATCH/never"

# What people type, and what helps.
expect 2 "$VOLT" predict "$SCRATCH/set" -o "$SCRATCH/never"
err_has "is a data set, not a run; .*: volt predict RUN $SCRATCH/set -o $SCRATCH/never"
expect 2 "$VOLT" predict "$data/imagesTr" -o "$SCRATCH/never"
err_has 'is a folder of scans, not a run'
expect 2 "$VOLT" predict "$data/imagesTr/brats_001_0000.nii.gz" "$run" -o "$SCRATCH/never"
err_has 'is a scan, not a run'
expect 2 "$VOLT" predict -i "$in" -o "$SCRATCH/never" -d 4 -c 3d_fullres -f 0
err_has "nnU-Net's call is here: volt predict RUN $in -o $SCRATCH/never --folds 0"
err_one_line
expect 2 "$VOLT" predict -d 4 -i "$in" -o "$SCRATCH/never" -c 3d_fullres
err_has "volt predict RUN $in -o $SCRATCH/never,"
expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" --disable_tta
err_has 'here it is --no-mirror'
expect 2 "$VOLT" nnUNetv2_predict -i x
err_has "here it is 'volt predict'"
for command in "predict $run $in -o $SCRATCH/never" "train $data -o $SCRATCH/never" "info $in/z_header_0000.nii.gz" \
    "evaluate $in $in" "plot $run"; do
    # shellcheck disable=SC2086
    expect 6 "$VOLT" $command --device cuda
    err_has 'no GPU support'
    # shellcheck disable=SC2086
    expect 6 "$VOLT" $command --device=cuda:0
    # shellcheck disable=SC2086
    expect 6 env OMPI_COMM_WORLD_SIZE=4 "$VOLT" $command
    err_has 'an MPI launcher started 4 processes .*(would do all the work|sees one)'
    # shellcheck disable=SC2086
    expect 6 env PMI_SIZE=2 "$VOLT" $command
done
# Every launcher that is known starts several processes, or one; 'volt help environment' lists them.
expect 0 "$VOLT" help environment
cp "$OUT" "$SCRATCH/environment"
launched() { # CODE WORDS VARIABLE=VALUE...
    expect "$1" env "${@:3}" "$VOLT" info "$data/labelsTr/brats_001.nii.gz"
    [ -z "$2" ] || err_has "$2"
    [ "$1" -ne 6 ] || grep -qw "${3%=*}" "$SCRATCH/environment" || fail "${3%=*} is not listed"
}
for variable in OMPI_COMM_WORLD_SIZE PMI_SIZE MV2_COMM_WORLD_SIZE JSM_NAMESPACE_SIZE SLURM_STEP_NUM_TASKS \
    HOROVOD_SIZE WORLD_SIZE; do
    launched 6 "started 3 processes \($variable\).* --part I/3', or unset $variable" $variable=3
    launched 0 '' $variable=1
    launched 0 '' $variable=
done
launched 6 'srun started 2 processes \(SLURM_NTASKS\)' SLURM_NTASKS=2 SLURM_PROCID=0
launched 6 'srun started 2 processes' SLURM_STEP_NUM_TASKS=2 SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_JOB_ID=7
launched 0 '' SLURM_NTASKS=4                               # salloc
launched 0 '' SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_JOB_ID=7 # sbatch
launched 0 '' SLURM_STEP_NUM_TASKS=1 SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_JOB_ID=7
launched 6 "PMIx launcher started several processes .* --part I/N'" PMIX_RANK=1
launched 0 '' PMIX_RANK=0
expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" --device abacus
err_has "'abacus' is not a device"
expect 2 "$VOLT" predict "$run" "$in" -o "$SCRATCH/never" --device cpu:1
err_has "'cpu:1' is not a device"
expect 6 "$VOLT" train "$data" -o "$SCRATCH/never" -num_gpus 2
expect 0 "$VOLT" predict "$run" "$data"/imagesTr/brats_001_*.gz -o "$SCRATCH/cpu" "${fast[@]}" --device cpu:0 -q
expect 0 env OMPI_COMM_WORLD_SIZE=2 "$VOLT" predict "$run" "$data/imagesTr" -o "$SCRATCH/parts" "${fast[@]}" --part 1/2 -q
expect 0 env OMPI_COMM_WORLD_SIZE=1 "$VOLT" info "$run/../data/labelsTr/brats_001.nii.gz"
# Checked before any work.
expect 4 "$VOLT" predict "$run" "$SCRATCH/nothing" -o "$SCRATCH/never"
err_is "volt: cannot open $SCRATCH/nothing: No such file or directory"
expect 4 "$VOLT" predict "$run" "$in" -o "$in/z_header_0000.nii.gz"
err_has 'is a file; a folder for the output is expected'
expect 4 "$VOLT" predict "$run" "$in" -o "$in/z_header_0000.nii.gz/masks"
err_has 'cannot create '
expect 4 "$VOLT" ensemble "$SCRATCH/good" "$SCRATCH/nothing" -o "$SCRATCH/never"
expect 4 "$VOLT" evaluate "$SCRATCH/good" "$data/labelsTr" -o "$SCRATCH/no/such/summary.json"
err_has 'there is no folder '
expect 4 "$VOLT" evaluate "$SCRATCH/good" "$data/labelsTr" --csv "$SCRATCH"
err_has 'is a folder; a file for the output is expected'
absent "$SCRATCH/never"
# Masks never replace scans, true labels, or files of data sets and runs, by whatever path.
mkdir "$SCRATCH/four"
cp -r "$data" "$SCRATCH/own"
for case in 001 002; do
    cp "$data/labelsTr/brats_$case.nii.gz" "$SCRATCH/four/brats_$case.nii.gz"
done
ln -s "$SCRATCH/own/labelsTr" "$SCRATCH/link"
before=$(fingerprint "$SCRATCH/four" && fingerprint "$SCRATCH/own" && fingerprint "$run")
for folder in four own own/labelsTr own/imagesTr link; do
    expect 10 "$VOLT" predict "$run" "$SCRATCH/own" -o "$SCRATCH/$folder" "${fast[@]}"
    err_has 'write into another folder$'
    expect 10 "$VOLT" predict "$run" "$SCRATCH/own" -o "$SCRATCH/$folder" "${fast[@]}" --skip-existing
done
expect 10 "$VOLT" predict "$run" "$SCRATCH/own" -o "$run" "${fast[@]}"
err_has 'holds a trained network \('
expect 10 "$VOLT" predict "$run" "$SCRATCH/own" -o "$SCRATCH/work" "${fast[@]}"
err_has "holds a data set's plan \("
expect 10 "$VOLT" train "$SCRATCH/own" --work "$SCRATCH/work" -o "$SCRATCH/link" --iterations 1
err_has "link is the folder of a data set's labels"
[ "$before" = "$(fingerprint "$SCRATCH/four" && fingerprint "$SCRATCH/own" && fingerprint "$run")" ] ||
    fail "something was replaced"
expect 0 "$VOLT" predict "$run" "$SCRATCH/own" -o "$SCRATCH/twice" "${fast[@]}" -q
expect 0 "$VOLT" predict "$run" "$SCRATCH/own" -o "$SCRATCH/twice" "${fast[@]}" -q
done_testing
