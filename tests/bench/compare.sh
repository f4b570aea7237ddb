#!/bin/bash
# Two builds of volt on the same networks, in turns: is the new one slower?
# usage: compare.sh OLD NEW [ROUNDS]    binaries; about 8 minutes with 7 rounds on two cores
set -eu
old=$1 new=$2 rounds=${3:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

seconds() { "$@" --json 2>/dev/null | sed -n 's/.*"median_s":\([0-9.e-]*\).*/\1/p'; }
median() { sort -g "$1" | awk '{v[NR] = $1} END {print (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2}'; }

sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1
while IFS= read -r setting; do
    : >"$work/old" && : >"$work/new"
    read -ra words <<<"$setting"
    for ((i = 0; i < rounds; i++)); do
        order=(old new)
        ((i % 2)) && order=(new old)
        for which in "${order[@]}"; do
            seconds "${!which}" bench net "${words[@]}" >>"$work/$which"
        done
    done
    before=$(median "$work/old") after=$(median "$work/new")
    printf '%-52s %9.4f s %9.4f s  %.3f\n' "$setting" "$before" "$after" \
        "$(awk "BEGIN {print $after / $before}")"
done <<'EOF'
--net hippocampus --mode infer --repeat 15
--net hippocampus --mode train --repeat 5
--net brats --mode infer --patch 64,64,64 --repeat 5
EOF
