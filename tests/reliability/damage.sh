#!/bin/bash
# Whole commands on damaged folders: one file of a data set, a work folder, a run, masks or a
# model of another program is damaged at random, then the commands that read it are run. Each
# succeeds or ends with one sentence that names a file, and with an exit code of the list: never by
# a signal, a sanitizer, a time-out or an internal error.
# usage: damage.sh VOLT SCRATCH SOURCES [COUNT [SEED]]
set -u
VOLT=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
rm -rf "$2"
mkdir -p "$2" || exit 1
SCRATCH=$(cd "$2" && pwd)
SOURCE=$3
COUNT=${4:-120}
SEED=${5:-1}
TOOL=$(dirname "$VOLT")/tests/damage_file
BASE=$SCRATCH/base W=$SCRATCH/w ERR=$SCRATCH/stderr
export XDG_CACHE_HOME=$SCRATCH/cache OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1:exitcode=99
export UBSAN_OPTIONS=halt_on_error=1:exitcode=99
FAILED=0 RAN=0
RANDOM=$SEED
cd "$SCRATCH" || exit 1

must() {
    "$@" >"$SCRATCH/out" 2>"$ERR" </dev/null && return
    echo "cannot prepare: $*" && cat "$ERR" && exit 1
}
fast=(--threads 1 --precision fp32 --batch 2 --iterations 1 --validation 1 --epochs 1 -q)
must "$VOLT" phantom brats base/data --cases 5 --size 16 --seed 5 --threads 1 -q
must "$VOLT" convert base/data/imagesTr/brats_001_0000.nii.gz base/scan.nii -q
must "$VOLT" convert base/data/labelsTr/brats_001.nii.gz base/mask.nii --labels -q
must "$VOLT" preprocess base/data --work base/work --threads 1 -q
must "$VOLT" train base/data --work base/work -o base/run "${fast[@]}" --validate
must "$VOLT" predict base/run base/data/imagesTr -o base/masks --no-mirror --threads 1 --save-probabilities -q
must "$VOLT" postprocess find base/masks base/data/labelsTr --threads 1 -q
must "$VOLT" evaluate base/masks base/data/labelsTr -o base/masks/summary.json --threads 1 -q
must "$VOLT" export model base/run -o base/theirs --format nnunet -q
must cp -r "$SOURCE/testdata/bundles/unet" base/bundle

# Kinds of files, and the commands that read them; FILE and its folder are those in w/.
KINDS=(scan_gz scan mask mask_gz dataset plans fingerprint splits case checkpoint log probabilities
    steps summary theirs_plans theirs_weights bundle_config bundle_metadata bundle_weights run_summary)
file_of() { # KIND
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
    esac
}
train="train w/data --work w/work -o w/new ${fast[*]}"
commands_of() { # KIND: one command a line
    case $1 in
    scan_gz) printf '%s\n' "check w/data -q" "info $FILE" "predict w/run w/data/imagesTr -o w/out --no-mirror -q" ;;
    scan) printf '%s\n' "info $FILE" "convert $FILE w/out.nii.gz -q" "snapshot $FILE w/mask.nii -o w/out.png -q" \
        "augment $FILE -n 1 -o w/out -q" ;;
    mask) printf '%s\n' "evaluate $FILE $FILE -q" "snapshot w/scan.nii $FILE -o w/out.png -q" \
        "convert $FILE w/out.nii --labels -q" ;;
    mask_gz) printf '%s\n' "check w/data -q" "evaluate w/masks w/data/labelsTr -q" ;;
    dataset) printf '%s\n' "check w/data -q" "dataset show w/data" "$train" "evaluate w/masks w/data/labelsTr -q" ;;
    plans) printf '%s\n' "plan w/data --work w/work -q" "$train" ;;
    fingerprint) printf '%s\n' "plan w/data --work w/work --add 3d_whole -q" ;;
    splits) printf '%s\n' "$train" ;;
    case) printf '%s\n' "$train" "augment $FILE -n 1 -o w/out -q" "preprocess w/data --work w/work -q" ;;
    checkpoint) printf '%s\n' "predict w/run w/data/imagesTr -o w/out --no-mirror -q" \
        "train w/data --work w/work -o w/run --resume --epochs 2 -q" "export model w/run -o w/o.onnx --format onnx -q" ;;
    log) printf '%s\n' "plot w/run -o w/out.svg -q" "train w/data --work w/work -o w/run --resume --epochs 2 -q" ;;
    run_summary) printf '%s\n' "plot w/run -o w/out.svg -q" "best w/run --truth w/data -o w/out -q" ;;
    probabilities) printf '%s\n' "ensemble w/masks w/masks -o w/out -q" ;;
    steps) printf '%s\n' "postprocess apply w/masks --steps $FILE -o w/out -q" ;;
    summary) printf '%s\n' "postprocess find w/masks w/data/labelsTr -q" ;;
    theirs_*) printf '%s\n' "import model w/theirs w/out -q" ;;
    bundle_*) printf '%s\n' "import model w/bundle w/out -q" ;;
    esac
}
CASES=$(basename "$(dirname "$(find base/work -name brats_002.voltcase | head -1)")")

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
    # the file, or what it belongs to: its case, its folder
    local name=${FILE##*/}
    tail -1 "$ERR" | grep -qE "w/|${name%%.*}|brats_00[0-9]" || fail "the sentence names no file"
}

for ((i = 0; i < COUNT; i++)); do
    seed=$((SEED * 1000003 + i))
    kind=${KINDS[i % ${#KINDS[@]}]}
    file_of "$kind"
    rm -rf w && cp -r base w
    what=$("$TOOL" "$FILE" "$seed") || { [ -s "$FILE" ] || continue && exit 1; }
    cp -r w damaged
    while IFS= read -r command; do
        rm -rf w && cp -r damaged w
        # shellcheck disable=SC2086
        timeout -k 5 120 "$VOLT" $command >"$SCRATCH/out" 2>"$ERR" </dev/null
        code=$?
        RAN=$((RAN + 1))
        judge
    done < <(commands_of "$kind")
    rm -rf damaged
done
summary=
for code in "${!codes[@]}"; do summary+=" $code:${codes[$code]}"; done
echo "$COUNT damaged files of ${#KINDS[@]} kinds, $RAN commands; exit status:count$summary; $FAILED failures"
rm -rf w base
[ $FAILED -eq 0 ]
