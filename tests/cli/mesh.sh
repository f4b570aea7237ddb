#!/bin/bash
# volt mesh: the ways to share a training out, from a data set, a plan and a run.
. "$3/tests/cli/common.inc"

make_data 3
data=$SCRATCH/data work=$SCRATCH/work
mesh() { expect "$1" "$VOLT" mesh "${@:2}" --threads 1 -q; }

# The table: one mesh a line, the best of them marked, times said to be predicted.
mesh 0 "$data" --work "$work" --ranks 2 --rate 10 --precision fp32
out_has '^3d_fullres: patch [0-9]+ x [0-9]+ x [0-9]+, batch [0-9]+, fp32$'
out_has '^  2 ranks +10 GF/s each, as given$'
out_has '^[* ] data=2 '
out_has '^[* ] z=2 '
out_has 'predicted'
[ "$(grep -c '^\* ' "$OUT")" -eq 1 ] || fail "not one mesh is the best"
best=$(sed -n 's/^\* \([^ ]*\) .*/\1/p' "$OUT")
out_has "^best: --mesh $best\$"

# As data, the same.
mesh 0 "$data" --work "$work" --ranks 2 --rate 10 --precision fp32 --json
out_json configuration ranks patch batch precision flops_per_s measured link memory_bytes \
    predicted_one_rank_s best meshes limits
out_has "\"best\":\"$best\""
out_has '"predicted_step_s":'
out_has '"measured":false'
out_has '"gradients":\{"messages":[0-9]+,"bytes":[0-9]+\}'

# The plan alone, with dataset.json in the folder above or named; a run with its own settings.
expect 0 cp "$work/plans.json" "$SCRATCH/plans.json"
mesh 2 "$SCRATCH/plans.json" --ranks 2 --rate 10
err_has 'no dataset.json next to it or in the folder above; name one with --dataset'
mesh 0 "$SCRATCH/plans.json" --dataset "$data/dataset.json" --ranks 2 --rate 10 --precision fp32
out_has "^best: --mesh $best\$"
mkdir "$data/plans" && cp "$work/plans.json" "$data/plans"
mesh 0 "$data/plans/plans.json" --ranks 2 --rate 10 --precision fp32 -c 2d
out_has '^2d: patch 1 x '
out_has '^[* ] y=2 '
expect 0 "$VOLT" train "$data" -o "$SCRATCH/run" --work "$work" --recipe fast --batch 1 \
    --precision fp32 --epochs 1 --iterations 1 --validation 1 --fold all -q
mesh 0 "$SCRATCH/run" --ranks 2 --rate 10
out_has '^3d_fullres: .* batch 1, fp32$'
out_has '^limit: a batch of 1 sample cannot be shared out to more ranks than 1 along data$'
mesh 0 "$SCRATCH/run" --ranks 2 --rate 10 --batch 4
out_has '^\* data=2 +2 '

# Memory: what is too large stays in the table, after what fits.
mesh 0 "$SCRATCH/run" --ranks 2 --rate 10 --memory 1M
out_has 'too large$'
out_has '^no mesh fits into 1.00 MB; the smallest, [a-z]=2, needs [0-9.]+ [MG]B$'
mesh 0 "$SCRATCH/run" --ranks 2 --rate 10 --memory 1M --json
out_has '"best":null'
for size in 80G 80GB 80GiB 500000M '80 G' 1.5T; do
    mesh 0 "$SCRATCH/run" --ranks 2 --rate 10 "--memory=$size"
done
for size in x 0 80 1e9 0G -1G 80Q 80X G 1e30G nan inf ''; do
    mesh 2 "$SCRATCH/run" --ranks 2 --rate 10 "--memory=$size"
    err_one_line
done

# Memory is what a training on that mesh announces, batches included.
announced() { sed -nE 's/.*"announced_bytes": *([0-9]+).*/\1/p' "$1/summary.json" | head -1; }
for mesh in data=2 z=2; do
    expect 0 "$VOLT" train "$data" -o "$SCRATCH/on.$mesh" --work "$work" --recipe fast --batch 2 --ranks 2 --mesh $mesh \
        --precision fp32 --epochs 1 --iterations 1 --validation 1 --threads 1 -q
    mesh 0 "$SCRATCH/on.$mesh" --ranks 2 --rate 10 --json
    total=$(grep -oE "\"mesh\":\"$mesh\".*" "$OUT" | grep -oE '"total_bytes":[0-9]+' | head -1)
    [ "$total" = "\"total_bytes\":$(announced "$SCRATCH/on.$mesh")" ] ||
        fail "$mesh: $total, but training announces $(announced "$SCRATCH/on.$mesh")"
done
out_has '"scattered":\{"messages":1,"bytes":[1-9][0-9]*\},"turns":2'

# Links and machines.
mesh 0 "$SCRATCH/run" --ranks 2 --rate 10 --link 100Gb/s,5us
out_has '^  links +12.5 GB/s, 5 us$'
mesh 0 "$SCRATCH/run" --ranks 2 --rate 10 --link 25GB/s,2us
out_has '^  links +25 GB/s, 2 us$'
for link in x , 25 25GB/s 25GB/s, ,2us 25GB/s,2 0GB/s,2us -1GB/s,2us 25GB/s,-2us 25GB,2us 25GB/s,2us,3; do
    mesh 2 "$SCRATCH/run" --ranks 2 --rate 10 "--link=$link"
    err_has 'such as 25GB/s,2us'
done
mesh 2 "$SCRATCH/run" --ranks 2 --rate 10 --link=
err_one_line
mesh 0 "$SCRATCH/run" --ranks 2 --machine h100+infiniband
out_has '207 TF/s each, NVIDIA H100'
out_has '^figures: MLPerf'
out_has 'on a host of 8; '
mesh 2 "$SCRATCH/run" --ranks 2 --machine abacus
err_has 'h100\+nvlink'

# A rate that is given as a step, and one that is measured.
mesh 0 "$SCRATCH/run" --ranks 2 --step 2s
out_has '^  one rank +2 s for a step of the whole batch$'
mesh 2 "$SCRATCH/run" --ranks 2 --step 2s --rate 10
err_has 'exclude each other'
mesh 0 "$SCRATCH/run" --ranks 2
out_has 'GF/s each, measured on this machine$'

# What cannot be: the axes that end, and the nearest number of ranks.
mesh 2 "$SCRATCH/run" --ranks 1009 --rate 10
err_one_line
err_has 'no mesh of this network has 1009 ranks: there are at most 1 along data, [0-9]+ along z'
err_has 'the nearest number that one has is [0-9]+$'
mesh 2 "$SCRATCH/run"
err_has '--ranks N'
for ranks in 0 -1 x 1e9 1.5 70000 1000000000 99999999999999999999 ''; do
    mesh 2 "$SCRATCH/run" "--ranks=$ranks"
    err_one_line
done
for batch in 0 -1 x; do
    mesh 2 "$SCRATCH/run" --ranks 2 --rate 10 "--batch=$batch"
    err_one_line
done
mesh 4 "$SCRATCH/nowhere" --ranks 2
mesh 4 "$SCRATCH/nowhere.json" --ranks 2
mesh 2 "$data" --work "$work" --ranks 2 -c 4d
expect 0 "$VOLT" mesh --help
out_has 'volt mesh .* --machine h100'

done_testing
