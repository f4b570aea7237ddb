#!/bin/bash
# volt train --ranks: the losses of one rank; meshes that cannot be; one line when a rank fails.
. "$3/tests/cli/common.inc"

make_data 4 24
data=$SCRATCH/data work=$SCRATCH/work
train=("$VOLT" train "$data" --work "$work" --threads 1 --precision fp32 --batch 2 --optimizer sgd
    --epochs 2 --iterations 4 --validation 2)

# losses RUN: the training and validation losses of its epochs.
losses() {
    grep -oE '"(train|validation)_loss": *[-0-9.e]+' "$1/log.jsonl" | grep -oE '[-0-9.e]+$'
}
# same_losses RUN: to 1e-4, those of one rank.
same_losses() {
    paste <(losses "$SCRATCH/one") <(losses "$1") >"$SCRATCH/losses"
    awk '{ d = $1 - $2; if (d < 0) d = -d; a = $1 < 0 ? -$1 : $1; if (a < 0.1) a = 0.1
           if (NF != 2 || d > 1e-4 * a) exit 1 } END { exit NR != 4 }' "$SCRATCH/losses" ||
        { fail "$1: other losses" && cat "$SCRATCH/losses"; }
}

expect 0 "${train[@]}" -o "$SCRATCH/one" --json -q
grep -q '"ranks": *1' "$OUT" || fail "--json lacks the ranks"

# A mesh must say how ranks share the work, and must be one that can be.
expect 2 "${train[@]}" -o "$SCRATCH/never" --ranks 2
err_one_line
err_has 'no mesh says how: data=2 .*; give --mesh$'
expect 2 "${train[@]}" -o "$SCRATCH/never" --ranks 3 --mesh data=2
err_one_line
expect 2 "${train[@]}" -o "$SCRATCH/never" --ranks 4 --mesh data=4
err_has 'at most data=2 can be, for these ranks data=2,z=2$'
expect 2 "${train[@]}" -o "$SCRATCH/never" --mesh data=2
err_one_line
expect 2 "${train[@]}" -o "$SCRATCH/never" --ranks 2 --mesh w=2
err_one_line
expect 6 "${train[@]}" -o "$SCRATCH/never" --ranks 4 --mesh z=2,stage=2
err_has 'stages cannot be combined with parts of the volume'
absent "$SCRATCH/never"
# A volume too thin for the mesh is refused before any case is preprocessed.
expect 2 "${train[@]}" -o "$SCRATCH/never" --work "$SCRATCH/thin" --ranks 64 --mesh z=64
err_has '^volt: .* voxels along z cannot be cut into 64 parts .*, but into [0-9]+ at most$'
[ -z "$(find "$SCRATCH/thin" -name '*.voltcase')" ] || fail "cases are preprocessed for a mesh that cannot be"
absent "$SCRATCH/never"
# Three samples for two groups.
expect 0 "${train[@]}" -o "$SCRATCH/uneven" --ranks 4 --mesh data=2,y=2 --batch 3 --epochs 1 --iterations 1 -q

expect 0 "${train[@]}" -o "$SCRATCH/auto" --ranks 2 --mesh auto
err_has '^mesh .* a step \(chosen\)$'
same_losses "$SCRATCH/auto"
for mesh in data=2 z=2 stage=2; do
    expect 0 "${train[@]}" -o "$SCRATCH/$mesh" --ranks 2 --mesh $mesh
    out_has '2 ranks; rank 0 waited'
    err_has "2 ranks \\(threads\\), mesh $mesh, 1 thread each"
    [ "$(grep -c 'epoch 1/2' "$ERR")" -eq 1 ] || fail "not one rank reports"
    same_losses "$SCRATCH/$mesh"
    no_leftovers "$SCRATCH/$mesh"
    grep -q "\"mesh\": *\"$mesh\"" "$SCRATCH/$mesh/summary.json" || fail "summary.json lacks the mesh"
done

# Stages: the log tells what each holds, and how long it waits.
err_has '2 stages, 1 part of a batch under way: each stage waits 50 % of a step'
err_has '^stage 1: .* % of the operations, .* sends .* MiB for each part'

# Extended on another mesh; predicted as any run.
expect 0 "${train[@]}" --epochs 3 -o "$SCRATCH/z=2" --resume --ranks 2 --mesh data=2 -q
[ "$(wc -l <"$SCRATCH/z=2/log.jsonl")" -eq 3 ] || fail "the run has not become longer"
expect 0 "${train[@]}" --epochs 3 -o "$SCRATCH/z=2" --resume
out_has 'has ended, nothing is left to do'

# Stopped by a signal: saved, one line, resumed on one rank.
"${train[@]}" --epochs 400 --ranks 2 --mesh data=2 -o "$SCRATCH/stopped" >"$OUT" 2>"$ERR" </dev/null &
pid=$!
COMMAND="train --ranks 2, interrupted"
until [ -s "$SCRATCH/stopped/log.jsonl" ]; do # a line per epoch
    kill -0 $pid 2>"$SCRATCH/null" || break
    sleep 0.02
done
# Another training into the same folder meanwhile is refused, and the first does not notice.
out=$OUT err=$ERR OUT=$SCRATCH/second.out ERR=$SCRATCH/second.err
expect 4 "${train[@]}" --epochs 400 --ranks 2 --mesh z=2 -o "$SCRATCH/stopped" --resume
err_one_line
err_has "^volt: $SCRATCH/stopped is in use by process $pid on "
OUT=$out ERR=$err
kill -TERM $pid
wait $pid
code=$?
CHECKS=$((CHECKS + 1))
[ $code -eq 9 ] || fail "a stopped training exits with $code"
[ "$(grep -c '^volt: stopped and saved after iteration' "$ERR")" -eq 1 ] || fail "not one line says so"
expect 0 "${train[@]}" --epochs 3 --resume --ranks 1 --mesh data=1 -o "$SCRATCH/data=2" -q

# A damaged case ends all ranks; the last line names rank and case.
case=$(find "$work" -name '*.voltcase' | sort | head -1)
[ -n "$case" ] || fail "no preprocessed cases are found"
size=$(stat -c %s "$case")
for case in $(find "$work" -name "*.voltcase"); do
    printf '\377\376\375' | dd of="$case" bs=1 seek=$((size / 2)) conv=notrunc status=none
done
expect 5 timeout 60 "${train[@]}" -o "$SCRATCH/broken" --ranks 2 --mesh data=2 -q
err_one_line
err_has '^volt: (rank [01] .*: )?.*brats_00.\.voltcase: the CRC'
absent "$SCRATCH/broken"
done_testing
