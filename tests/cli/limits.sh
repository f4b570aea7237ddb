#!/bin/bash
# Memory, file size and folders that are in use for something else: one sentence, nothing of the
# user's is replaced, nothing stays behind.
. "$3/tests/cli/common.inc"

make_data 5 16
data=$SCRATCH/data work=$SCRATCH/work
scan=$data/imagesTr/brats_001_0000.nii.gz
train=("$VOLT" train "$data" --work "$work" --precision fp32 --batch 2 --iterations 1 --validation 1 \
    --epochs 1 -q)

# A run is not put where its files would replace others.
expect 0 "$VOLT" preprocess "$data" --work "$work" -q
expect 0 "$VOLT" import model "$SOURCE/testdata/models/resampled/model" "$SCRATCH/model" -q
for folder in "$data" "$work" "$SCRATCH/model"; do
    before=$(fingerprint "$folder")
    expect 10 "${train[@]}" -o "$folder"
    err_one_line
    [ "$before" = "$(fingerprint "$folder")" ] || fail "$folder has changed"
done
expect 10 "${train[@]}" -o "$data" --resume
expect 2 "$VOLT" train "$data" --work "$SCRATCH/both" -o "$SCRATCH/both" -q
err_is "volt: $SCRATCH/both is the work folder; a run needs a folder of its own"

# A failure before the first iteration removes what the run wrote, and no more.
mkdir "$SCRATCH/mine" && echo text >"$SCRATCH/mine/notes"
expect 4 sh -c 'ulimit -f 30; exec "$@"' - "${train[@]}" -o "$SCRATCH/mine"
[ "$(ls -A "$SCRATCH/mine")" = notes ] || fail "left behind: $(ls -A "$SCRATCH/mine")"
expect 4 sh -c 'ulimit -f 30; exec "$@"' - "${train[@]}" -o "$SCRATCH/new/run"
absent "$SCRATCH/new"

# Other formats notice a file that cannot be completed, too.
if [ -x "$(dirname "$VOLT")/volt-itk" ]; then
    for ending in mha mhd nrrd nhdr tif gipl; do
        expect 4 sh -c 'ulimit -f 4; exec "$@"' - "$VOLT" convert "$scan" "$SCRATCH/part.$ending" \
            --spacing 8,8,8 -q
        err_has "^volt: $SCRATCH/part.$ending: cannot write it: File too large"
        absent "$SCRATCH/part.$ending"
    done
fi
no_leftovers "$SCRATCH"

if grep -q __asan_init "$VOLT"; then
    echo "skipped: limits of memory, AddressSanitizer takes terabytes of addresses"
    done_testing
    exit
fi

# under KIB COMMAND...: exit status 0, or 3 and a sentence; 127 is the loader's.
under() {
    local limit=$1 got
    shift
    COMMAND="$*, ulimit -v $limit"
    CHECKS=$((CHECKS + 1))
    (ulimit -c 0 && ulimit -v "$limit" && exec "$@") >"$OUT" 2>"$ERR" </dev/null
    got=$?
    case $got in
    0 | 127) ;;
    3) grep -q '^volt: ' "$ERR" || fail "no sentence" ;;
    *) fail "exit status $got" ;;
    esac
    ! grep -qE 'libgomp|terminate called' "$ERR" || fail "a library ended it"
}
# From where the program does not even load to where oneDNN's code just fits.
for ((limit = 40000; limit < 92000; limit += 2003)); do
    under $limit "${train[@]}" --threads 1 -o "$SCRATCH/small_$limit"
done
absent "$SCRATCH/small_*"
for limit in 60000 80000 100000 120000; do
    under $limit "$VOLT" phantom liver "$SCRATCH/phantom_$limit" --cases 1 --size 16 --threads 2 -q
    [ -d "$SCRATCH/phantom_$limit/imagesTr" ] || absent "$SCRATCH/phantom_$limit"
done
# More memory never fails where less was enough: each thread's arena took 64 MiB.
enough=
for ((limit = 160000; limit <= 320000; limit += 20000)); do
    under $limit "${train[@]}" --threads 4 -o "$SCRATCH/run_$limit"
    [ -e "$SCRATCH/run_$limit" ] && enough=1
    [ -z "$enough" ] || exists "$SCRATCH/run_$limit/summary.json"
done
[ -n "$enough" ] || fail "no limit was enough"
no_leftovers "$SCRATCH"
done_testing
