#!/bin/bash
# libvolt.so exports exactly the names of exports.txt: the interface changes on purpose only.
# After a change on purpose: bash tests/house/exports.sh BUILD/volt - . --list >tests/house/exports.txt
# usage: exports.sh VOLT SCRATCH SOURCE [--list]
set -u
library=$(realpath "$(dirname "$1")")/libvolt.so
scratch=$(realpath -m "$2")
cd "$3" || exit 1
command -v nm >/dev/null || { echo "skipped: nm is not installed" && exit 77; }
[ -e "$library" ] || { echo "no $library" && exit 1; }

# cmake/volt.map hides what OpenMP, sanitizers and the linker add.
names=$(nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ {print $3}' | LC_ALL=C sort -u)
[ "${4:-}" = --list ] && echo "$names" && exit

# compare LISTED NAMES: prints how the two files differ and what lacks the prefix.
compare() {
    grep -v '^volt_' "$2" | sed 's/^/exported without the prefix: /'
    diff "$1" "$2" | sed -n 's/^</no longer exported:/p; s/^>/not in exports.txt:/p'
}

status=0
rm -rf "$scratch"
mkdir -p "$scratch" || exit 1
LC_ALL=C sort -u tests/house/exports.txt >"$scratch/listed"
echo "$names" >"$scratch/names"
compare "$scratch/listed" "$scratch/names" >"$scratch/found"
[ ! -s "$scratch/found" ] || { cat "$scratch/found" && status=1; }
count=$(wc -l <"$scratch/names")
[ "$count" -ge 50 ] || { echo "only $count exported names" && status=1; }

# The test itself: a name less, a name more, and one that is not ours.
printf '%s\n' volt_a volt_b >"$scratch/listed"
printf '%s\n' omp_x volt_b volt_c >"$scratch/names"
diff - <(compare "$scratch/listed" "$scratch/names" | LC_ALL=C sort) <<'END' ||
exported without the prefix: omp_x
no longer exported: volt_a
not in exports.txt: omp_x
not in exports.txt: volt_c
END
    { echo "planted violations are not seen as expected" && status=1; }
echo "$count exported names looked at"
exit $status
