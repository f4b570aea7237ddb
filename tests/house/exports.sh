#!/bin/bash
# libvolt.so exports exactly the names of exports.txt: the interface changes on purpose only.
# After a change on purpose: bash tests/house/exports.sh BUILD/volt - . --list >tests/house/exports.txt
# usage: exports.sh VOLT SCRATCH SOURCE [--list]
set -u
library=$(dirname "$1")/libvolt.so
cd "$3" || exit 1
command -v nm >/dev/null || { echo "skipped: nm is not installed" && exit 77; }
[ -e "$library" ] || { echo "no $library" && exit 1; }

# cmake/volt.map hides what OpenMP, sanitizers and the linker add.
names=$(nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ {print $3}' | LC_ALL=C sort -u)
[ "${4:-}" = --list ] && echo "$names" && exit

strange=$(grep -v '^volt_' <<<"$names")
[ -z "$strange" ] || { echo "exported without the prefix:" && echo "$strange" && exit 1; }
diff <(LC_ALL=C sort -u tests/house/exports.txt) <(echo "$names") >"$2.diff"
sed -n 's/^</no longer exported:/p; s/^>/not in exports.txt:/p' "$2.diff"
[ ! -s "$2.diff" ] || exit 1
[ "$(wc -l <<<"$names")" -ge 50 ] || { echo "too few exported names" && exit 1; }
echo "$(wc -l <<<"$names") exported names, all as listed"
