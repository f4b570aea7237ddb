#!/bin/bash
# Every header compiles alone, as C17 and as C++17, with the warnings a strict user has on.
# usage: headers.sh VOLT SCRATCH SOURCE
set -u
cd "$3" || exit 1
mkdir -p "$2"
flags=(-I. -D_DEFAULT_SOURCE -Wall -Wextra -Wpedantic -Werror -fsyntax-only)
# Where CMake found the packages.
while IFS= read -r folder; do
    flags+=("-isystem$folder")
done < <(sed -n 's/^VOLT_[a-z]*_INCLUDE:PATH=//p' "$(dirname "$1")/CMakeCache.txt" | grep -v '^/usr/include$')
bad=0
count=0
has_cxx=$(command -v c++ || command -v g++)

for header in $(find base volume io nets3d show -name "*.h" 2>/dev/null | grep -v ^nets3d/cpu/); do
    [ -e "$header" ] || continue
    count=$((count + 1))
    printf '#include "%s"\ntypedef int volt_header_test;\n' "$header" >"$2/alone.c"
    cc -std=c17 "${flags[@]}" "$2/alone.c" || bad=1
    cp "$2/alone.c" "$2/alone.cc"
    [ -z "$has_cxx" ] || c++ -std=c++17 "${flags[@]}" "$2/alone.cc" || bad=1
done
[ "$count" -ge 10 ] || { echo "only $count headers found" && bad=1; }
echo "$count headers compiled alone${has_cxx:+, also as C++}"
exit $bad
