#!/bin/bash
# Whole commands on damaged folders: one file of a data set, a work folder, a run, masks or a
# model of another program is damaged at random, then a command that reads it is run, of several
# one after the other. It succeeds or ends with a sentence that names a file, and with an exit code
# of the list: never by a signal, a sanitizer, a time-out or an internal error.
# Prints figures every 100 files and at the end, also when it is interrupted.
# usage: damage.sh VOLT SCRATCH SOURCES [COUNT [SEED]]
# KINDS: the kinds of files to damage, all by default. PREPARE: the volt that writes the folders, by
# default VOLT; one without sanitizers is faster.
set -u
VOLT=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
rm -rf "$2"
mkdir -p "$2" || exit 1
SCRATCH=$(cd "$2" && pwd)
SOURCE=$(cd "$3" && pwd) || exit 1
COUNT=${4:-120}
SEED=${5:-1}
PREPARE=$(realpath "${PREPARE:-$VOLT}")
TOOL=$(dirname "$VOLT")/tests/damage_file
ERR=$SCRATCH/stderr
export XDG_CACHE_HOME=$SCRATCH/cache OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1:exitcode=99
export UBSAN_OPTIONS=halt_on_error=1:exitcode=99
FAILED=0 DAMAGED=0
RANDOM=$SEED
cd "$SCRATCH" || exit 1

must() {
    "$@" >"$SCRATCH/out" 2>"$ERR" </dev/null && return
    echo "cannot prepare: $*" && cat "$ERR" && exit 1
}
fast=(--threads 1 --precision fp32 --batch 2 --iterations 1 --validation 1 --epochs 1 -q)
must "$PREPARE" phantom brats base/data --cases 5 --size 16 --seed 5 --threads 1 -q
must "$PREPARE" convert base/data/imagesTr/brats_001_0000.nii.gz base/scan.nii -q
must "$PREPARE" convert base/data/labelsTr/brats_001.nii.gz base/mask.nii --labels -q
must "$PREPARE" preprocess base/data --work base/work --threads 1 -q
must "$PREPARE" train base/data --work base/work -o base/run "${fast[@]}" --validate
must "$PREPARE" predict base/run base/data/imagesTr -o base/masks --no-mirror --threads 1 --save-probabilities -q
must "$PREPARE" postprocess find base/masks base/data/labelsTr --threads 1 -q
must "$PREPARE" evaluate base/masks base/data/labelsTr -o base/masks/summary.json --threads 1 -q
must "$PREPARE" export model base/run -o base/theirs --format nnunet -q
must cp -r "$SOURCE/testdata/bundles/unet" base/bundle
for format in bmp gif jpeg png; do
    for picture in "$SOURCE/testdata/fuzz/$format"/*; do
        mkdir -p base/pictures
        cp "$picture" "base/pictures/$format.${picture##*.}"
    done
done
echo '{"**": "**"}' >base/map.json

CASES=$(basename "$(dirname "$(find base/work -name brats_002.voltcase | head -1)")")

# Kinds of files, and the commands that read them; FILE and its folder are those in w/.
read -ra kinds <<<"${KINDS:-scan_gz scan mask mask_gz dataset plans fingerprint splits case \
    checkpoint log probabilities steps summary theirs_plans theirs_weights bundle_config \
    bundle_metadata bundle_weights run_summary bmp gif jpeg png map checkpoint_best nrrd mha}"
if [ -x "$(dirname "$VOLT")/volt-itk" ]; then
    must "$PREPARE" convert base/scan.nii base/scan.nrrd -q
    must "$PREPARE" convert base/scan.nii base/scan.mha -q
else
    echo "no volt-itk: not with nrrd and mha"
    read -ra kinds <<<"$(printf '%s\n' "${kinds[@]}" | grep -vxE 'nrrd|mha' | tr '\n' ' ')"
fi
train="train w/data --work w/work -o w/new ${fast[*]}"
no=--no-mirror
use() { # KIND: sets FILE and the commands that read it
    case $1 in
    scan_gz) FILE=w/data/imagesTr/brats_002_0001.nii.gz ;;
    scan) FILE=w/scan.nii ;;
    mask) FILE=w/mask.nii ;;
    mask_gz) FILE=w/data/labelsTr/brats_002.nii.gz ;;
    dataset) FILE=w/data/dataset.json ;;
    plans) FILE=w/work/plans.json ;;
    fingerprint) FILE=w/work/dataset_fingerprint.json ;;
    splits) FILE=w/work/splits_final.json ;;
    case) FILE=w/work/$CASES/brats_002.voltcase ;;
    checkpoint) FILE=w/run/checkpoint_latest.safetensors ;;
    checkpoint_best) FILE=w/run/checkpoint_best.safetensors ;;
    log) FILE=w/run/log.jsonl ;;
    run_summary) FILE=w/run/summary.json ;;
    probabilities) FILE=w/masks/brats_002.npz ;;
    steps) FILE=w/masks/postprocessing.json ;;
    summary) FILE=w/masks/summary.json ;;
    theirs_plans) FILE=w/theirs/plans.json ;;
    theirs_weights) FILE=w/theirs/fold_0/checkpoint_final.pth ;;
    bundle_config) FILE=w/bundle/configs/inference.json ;;
    bundle_metadata) FILE=w/bundle/configs/metadata.json ;;
    bundle_weights) FILE=w/bundle/models/model.pt ;;
    nrrd | mha) FILE=w/scan.$1 ;;
    jpeg) FILE=w/pictures/jpeg.jpg ;;
    bmp | gif | png) FILE=w/pictures/$1.$1 ;;
    map) FILE=w/map.json ;;
    *) echo "no kind '$1'" && exit 2 ;;
    esac
    case $1 in
    scan_gz) commands=("check w/data -q" "info $FILE" "predict w/run w/data/imagesTr -o w/out $no -q") ;;
    scan) commands=("info $FILE" "convert $FILE w/out.nii.gz -q" "augment $FILE -n 1 -o w/out -q"
        "snapshot $FILE w/mask.nii -o w/out.png -q") ;;
    mask) commands=("evaluate $FILE $FILE -q" "snapshot w/scan.nii $FILE -o w/out.png -q"
        "convert $FILE w/out.nii --labels -q") ;;
    mask_gz) commands=("check w/data -q" "evaluate w/masks w/data/labelsTr -q"
        "snapshot w/data/imagesTr/brats_002_0000.nii.gz $FILE -o w/out.png -q") ;;
    dataset) commands=("check w/data -q" "dataset show w/data" "evaluate w/masks w/data/labelsTr -q"
        "import dataset w/data w/out -q" "predict w/run w/data -o w/out $no -q") ;;
    plans) commands=("plan w/data --work w/work -q" "$train" "preprocess w/data --work w/work -q") ;;
    fingerprint) commands=("plan w/data --work w/work --add 3d_whole -q") ;;
    splits) commands=("$train") ;;
    case) commands=("augment $FILE -n 1 -o w/out -q" "$train" "preprocess w/data --work w/work -q") ;;
    checkpoint) commands=("train w/data --work w/work -o w/run --resume --epochs 2 -q"
        "predict w/run w/data/imagesTr -o w/out $no -q --checkpoint latest"
        "export model w/run -o w/o.onnx --format onnx -q") ;;
    checkpoint_best) commands=("predict w/run w/data/imagesTr -o w/out $no -q --checkpoint best"
        "export model w/run -o w/o.safetensors --format safetensors -q --checkpoint best"
        "$train --init $FILE") ;;
    log) commands=("plot w/run -o w/out.svg -q" "train w/data --work w/work -o w/run --resume --epochs 2 -q") ;;
    run_summary) commands=("plot w/run -o w/out.svg -q" "best w/run --truth w/data -o w/out -q") ;;
    probabilities) commands=("ensemble w/masks w/masks -o w/out -q") ;;
    steps) commands=("postprocess apply w/masks --steps $FILE -o w/out -q") ;;
    summary) commands=("postprocess find w/masks w/data/labelsTr -q" "plot w/masks -o w/out.svg -q") ;;
    theirs_*) commands=("import model w/theirs w/out -q") ;;
    bundle_*) commands=("import model w/bundle w/out -q") ;;
    nrrd | mha) commands=("info $FILE" "convert $FILE w/out.nii -q" "evaluate $FILE $FILE -q") ;;
    bmp | gif | jpeg | png) commands=("info $FILE" "convert $FILE w/out.nii -q"
        "convert $FILE w/out.nii --labels -q" "snapshot $FILE -o w/out.png -q") ;;
    map) commands=("import model w/theirs w/out --map $FILE -q") ;;
    esac
}

fail() { # SENTENCE
    FAILED=$((FAILED + 1))
    echo "FAIL: $1 (round $i, seed $seed, $kind: $what)"
    echo "  volt $command"
    tail -3 "$ERR" | cut -c1-300 | sed 's/^/  stderr: /'
}

declare -A codes
judge() { # the command's exit status in $code
    codes[$code]=$((${codes[$code]:-0} + 1))
    if grep -qE 'AddressSanitizer|LeakSanitizer|runtime error' "$ERR"; then
        fail "a sanitizer reported"
        return
    fi
    case $code in
    0) return ;;
    2 | 3 | 4 | 5 | 6 | 10 | 11) ;;
    *) fail "exit status $code" && return ;;
    esac
    [ "$(grep -c '^volt: ' "$ERR")" -ge 1 ] || { fail "no sentence" && return; }
    # The file, or what it belongs to: its case, its folder; predict lists them one a line.
    local name=${FILE##*/}
    grep -v '^volt: warning' "$ERR" | grep -qE "w/|${name%%.*}|brats_00[0-9]" ||
        fail "no sentence names a file"
}

figures() {
    local code summary=
    for code in "${!codes[@]}"; do summary+=" $code:${codes[$code]}"; done
    echo "$DAMAGED damaged files of ${#turn[@]} kinds, seed $SEED; exit status:count$summary; $FAILED failures"
}
declare -A turn
trap 'figures; rm -rf w base' EXIT
trap 'exit 130' INT TERM HUP

for ((i = 0; i < COUNT; i++)); do
    seed=$((SEED * 1000003 + i))
    kind=${kinds[i % ${#kinds[@]}]}
    use "$kind"
    rm -rf w && cp -r base w
    what=$("$TOOL" "$FILE" "$seed") || { echo "cannot damage $FILE" && exit 1; }
    command=${commands[$((${turn[$kind]:-0} % ${#commands[@]}))]}
    turn[$kind]=$((${turn[$kind]:-0} + 1))
    # shellcheck disable=SC2086
    timeout -k 5 120 "$VOLT" $command >"$SCRATCH/out" 2>"$ERR" </dev/null
    code=$?
    DAMAGED=$((DAMAGED + 1))
    judge
    [ $((DAMAGED % 100)) -ne 0 ] || figures
done
[ $FAILED -eq 0 ]
