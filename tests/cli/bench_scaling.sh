#!/bin/bash
# volt bench scaling: rows of all modes, messages as predicted, files; meshes that cannot be.
. "$3/tests/cli/common.inc"

export OMP_NUM_THREADS=1
tiny=("$VOLT" bench scaling --patch 8,16,8 --threads 1 --repeat 1 -q)
# member NAME: its values in the one JSON line of stdout, those of the rows only.
member() { sed 's/"per_rank": *\[[^]]*\(\[[^]]*\][^]]*\)*\]//g' "$OUT" | grep -oE "\"$1\": *[^,}]*" | sed 's/^[^:]*: *//'; }

expect 0 "${tiny[@]}" --ranks 2,1,2 -o "$SCRATCH/out"
out_has '^strong scaling over data: hippocampus fp32, patch 8 x 16 x 8, batch 2, 1 thread a rank$'
out_has '^strong scaling over space: hippocampus fp32, patch 8 x 16 x 8, batch 1, 1 thread a rank$'
out_has '^weak scaling over data: .*, batch 1 a rank, 1 thread a rank$'
out_has '^weak scaling over space: .* patch 8 x 16 x 8 a rank, batch 1, 1 thread a rank$'
for mesh in data=1 data=2 y=2; do out_has "^ +[12]  $mesh +[0-9.]+ s +[0-9.]+ s +[0-9.]+ "; done
[ "$(grep -cE '^ +[12]  ' "$OUT")" -eq 8 ] || fail "not 8 rows"
for file in json svg; do exists "$SCRATCH/out/scaling.$file"; done
grep -q 'Weak scaling: efficiency' "$SCRATCH/out/scaling.svg" || fail "the plot lacks a panel"
no_leftovers "$SCRATCH/out"
[ ! -s "$ERR" ] || fail "-q is not quiet"
tr -d '\n' <"$SCRATCH/out/scaling.json" >"$OUT"
out_json peer processor messages_by net dtype threads repeat rows

expect 0 "${tiny[@]}" --ranks 1,2 --mode strong --over space --precision bf16 --json
out_json peer processor messages_by net dtype threads repeat rows
out_has '"mesh": *"y=2"'
for what in messages bytes; do
    [ "$(member $what | wc -l)" -eq 2 ] || fail "not 2 values of $what"
    [ "$(member $what)" = "$(member predicted_$what)" ] || fail "other $what than predicted"
    [ "$(member $what | tail -1)" -gt 0 ] || fail "no $what"
done
[ "$(member efficiency | head -1)" = 1.0 ] || fail "the first row is not compared with itself"

# More ranks than the smallest given; parts of three axes; samples that divide unevenly.
expect 0 "${tiny[@]}" --ranks 2,4 --over space --patch 16,16,16 --mode strong
out_has '^ +2  z=2 .* 1\.000 '
out_has '^ +4  z=2,y=2 '
expect 0 "${tiny[@]}" --ranks 3 --over data --batch 4 --mode strong
out_has '^ +3  data=3 '
expect 0 "${tiny[@]}" --net liver2d --patch 128,128 --ranks 2 --over space --mode weak
out_has 'patch 1 x 128 x 128 a rank'

# A mesh of one's own, on as many ranks as it has; memory alone.
expect 0 "${tiny[@]}" --mesh z=2,data=2 --mode strong --repeat 0
out_has '^strong scaling over space: .* batch 2, 1 thread a rank$'
out_has '^ +1  data=1 '
out_has '^ +4  data=2,z=2 .* MiB .* MiB$'
[ "$(grep -cE '^ +[14]  ' "$OUT")" -eq 2 ] || fail "not 2 rows"
expect 0 "${tiny[@]}" --mesh x=2 --ranks 2 --mode weak --repeat 0 --json
out_has '"mesh": *"x=2"'
out_has '"patch": *\[8, *16, *16\]'

# What cannot be is said before anything is measured.
expect 2 "${tiny[@]}" --ranks 1,37 --over space --mode strong -o "$SCRATCH/never"
err_one_line
expect 2 "${tiny[@]}" --ranks 1,4 --over data --mode strong --batch 3 -o "$SCRATCH/never"
err_one_line
err_has '4 ranks cannot share so few samples'
expect 2 "${tiny[@]}" --ranks 0
err_one_line
expect 2 "${tiny[@]}" --mesh stage=2
err_one_line
err_has 'stages are not measured'
expect 2 "${tiny[@]}" --mesh z=2 --over data
err_has 'does not go with --over data'
expect 2 "${tiny[@]}" --net other
err_one_line
expect 3 "${tiny[@]}" --patch 4096,4096,4096 --ranks 2 --over space --mode strong -o "$SCRATCH/never"
err_one_line
absent "$SCRATCH/never"
: >"$SCRATCH/file"
expect 4 "${tiny[@]}" --ranks 1 -o "$SCRATCH/file"
err_one_line

# Ctrl-C: no files.
"${tiny[@]}" --ranks 1,2 --mode strong --repeat 10000 -o "$SCRATCH/stopped" >"$OUT" 2>"$ERR" </dev/null &
pid=$!
COMMAND="bench scaling, interrupted"
sleep 1
kill -INT $pid 2>"$SCRATCH/null"
wait $pid
code=$?
CHECKS=$((CHECKS + 1))
[ $code -eq 9 ] || fail "stopped, it exits with $code"
absent "$SCRATCH/stopped/scaling.json"
done_testing
