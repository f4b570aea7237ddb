#!/bin/bash
# libvolt.so exports names that start with volt_ and nothing else.
# usage: symbols.sh VOLT SCRATCH SOURCE
set -u
library=$(dirname "$1")/libvolt.so
command -v nm >/dev/null || { echo "skipped: nm is not installed" && exit 77; }
[ -e "$library" ] || { echo "no $library" && exit 1; }
names=$(nm -D --defined-only "$library" | awk '$2 ~ /[A-Z]/ {print $3}')
count=$(grep -c '^volt_' <<<"$names")
# OpenMP critical sections carry our prefix behind gcc's, clang names its reductions;
# sanitizers add their own names, linkers the bounds of the data.
strange=$(grep -vE '^(volt_|\.gomp_critical_user_(volt_|\.reduction)|__asan|__ubsan|__sanitizer|_init$|_fini$|__bss_start$|_edata$|_end$)' <<<"$names")
[ -z "$strange" ] || { echo "exported without the prefix:" && echo "$strange" && exit 1; }
[ "$count" -ge 50 ] || { echo "only $count exported names" && exit 1; }
echo "$count exported names, all volt_"
