#!/bin/bash
# A floor's own folder holds public headers and nothing else; what they declare is exported, and
# nothing below is. volt.h includes them all.
# usage: rooms.sh VOLT SCRATCH SOURCE
set -u
script=$(realpath "$0")
scratch=$(realpath -m "$2")
cd "$3" || exit 1
floors=$(ls -d base volume io parallel nets3d show 2>/dev/null)
bad=0

# complain TEXT FILE...: the files, if there are any, are wrong.
complain() {
    [ -n "$2" ] || return
    sed "s|\$|: $1|" <<<"$2"
    bad=1
}

complain "a floor's own folder holds public headers only" \
    "$(find $floors -maxdepth 1 -type f ! -name '*.h')"
complain "VOLT_API and VOLT_CALL are for the headers in a floor's own folder" \
    "$({ find $floors -mindepth 2 '(' -name '*.[ch]' -o -name '*.cxx' ')'
        find apps -name '*.[ch]'; } | xargs grep -lwE 'VOLT_API|VOLT_CALL')"
# A declaration starts in column 1.
complain "declared without VOLT_API or VOLT_CALL" "$(find $floors -maxdepth 1 -name '*.h' |
    xargs grep -noE '^[a-z][a-z0-9_ *]*\bvolt_[a-z0-9_]+\(' | grep -vE ':(static|typedef|return) ')"
for header in $(find $floors -maxdepth 1 -name '*.h'); do
    grep -q "^#include \"$header\"\$" volt.h || complain "volt.h does not include it" "$header"
done
complain "is included by volt.h and does not exist" "$(sed -n 's/^#include "\(.*\)"$/\1/p' volt.h |
    while read -r header; do [ -e "$header" ] || echo "$header"; done)"

# The test itself: a tree with one of each.
if [ -e CMakeLists.txt ]; then
    rm -rf "$scratch"
    mkdir -p "$scratch/base/core" "$scratch/io" "$scratch/apps/cli"
    cd "$scratch" || exit 1
    echo 'int x;' >base/x.c
    echo 'VOLT_CALL volt_y(int a);' >base/core/y.h
    echo 'VOLT_API int volt_e(void);' | tee apps/cmd_e.c >apps/cli/e.h
    printf '%s\n' 'VOLT_CALL volt_a(int a);' 'const char *volt_b(void);' >io/ab.h
    echo 'VOLT_API int volt_c(void);' >io/c.h
    printf '#include "%s"\n' io/ab.h io/d.h >volt.h
    cat >expected <<'END'
apps/cli/e.h: VOLT_API and VOLT_CALL are for the headers in a floor's own folder
apps/cmd_e.c: VOLT_API and VOLT_CALL are for the headers in a floor's own folder
base/core/y.h: VOLT_API and VOLT_CALL are for the headers in a floor's own folder
base/x.c: a floor's own folder holds public headers only
io/ab.h:2:const char *volt_b(: declared without VOLT_API or VOLT_CALL
io/c.h: volt.h does not include it
io/d.h: is included by volt.h and does not exist
END
    bash "$script" - - . | LC_ALL=C sort >found
    diff expected found || { echo "planted violations are not seen as expected" && bad=1; }
    bash "$script" - - . >/dev/null && { echo "a tree with violations passes" && bad=1; }
fi
exit $bad
