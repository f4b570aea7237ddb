#!/bin/bash
# volt bench: every subcommand that the help lists, at a small size, as text and as JSON.
. "$3/tests/cli/common.inc"

expect 0 "$VOLT" phantom liver "$SCRATCH/data" --cases 1 --size 24 -q
image=$SCRATCH/data/imagesTr/liver_001_0000.nii.gz labels=$SCRATCH/data/labelsTr/liver_001.nii.gz

# measures TEXT KEY COMMAND...: its lines have this text, its JSON this key.
measures() {
    local text=$1 key=$2
    shift 2
    expect 0 "$VOLT" bench "$@"
    out_has "$text"
    expect 0 "$VOLT" bench "$@" --json
    out_json "$key"
}
times() { measures 'median +[0-9.]+ s +min +[0-9.]+ s' median_s "$@" --repeat 1; }

augment() {
    measures '^2 samples in ' samples_per_second augment --patch 16,16,16 --samples 2
    measures '^1 sample in ' samples_per_second augment --patch 16,16 --channels 2 --samples 1
    expect 0 "$VOLT" bench augment --patch 16,16,16 --seconds 0.01
}
io() {
    times io "$image" --dir "$SCRATCH"
    out_has '"op": *"write'
    [ -z "$(find "$SCRATCH" -maxdepth 1 -name 'volt-bench-*')" ] || fail "the file written stays"
}
net() {
    for mode in infer train; do
        times net --patch 16,16,16 --batch 1 --mode $mode --steps
        times net --net liver2d --patch 128,128 --batch 1 --mode $mode
    done
    times net --patch 8,8,8 --device reference
}
ops() {
    for extent in 6,6,6 1,12,12; do
        times ops --in 16 --out 16 --extent $extent
        [ "$(wc -l <"$OUT")" -eq 12 ] || fail "not all operators"
    done
    times ops --only conv_fwd --in 3 --out 5 --extent 8,8,8 --stride 2 --batch 2 --kernel 5
    expect 2 "$VOLT" bench ops --only convolution
    err_one_line
}
scaling() {
    measures '^    +2  data=2 .*' rows scaling --patch 8,16,8 --ranks 1,2 --threads 1 --repeat 1 \
        --mode strong --over data -q
}
volume() {
    times volume "$image" "$labels"
    [ "$(wc -l <"$OUT")" -eq 4 ] || fail "not all four operations"
    times volume "$image" --only resample_cubic --shape 10,20,30
    expect 2 "$VOLT" bench volume "$image" --only distance # of what?
    err_one_line
}

expect 0 "$VOLT" bench --help
sed -n 's/^  bench \([a-z]*\) .*/\1/p' "$OUT" >"$SCRATCH/subcommands"
[ "$(wc -l <"$SCRATCH/subcommands")" -ge 5 ] || fail "fewer than 5 subcommands are listed"
while read -r subcommand; do
    if [ "$(type -t "$subcommand")" = function ]; then $subcommand; else fail "bench $subcommand is not tried"; fi
done <"$SCRATCH/subcommands"
done_testing
