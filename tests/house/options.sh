#!/bin/bash
# Every options struct of a public header can grow: `size_t size;` is the first member of a
# `typedef struct volt_*_options`, and the header declares its `_init` function.
# usage: options.sh VOLT SCRATCH SOURCE
set -u
cd "$3" || exit 1

# Prints "FILE: STRUCT ..." for each struct that breaks the rule; the number of structs goes to
# the file named first.
check() {
    awk -v count="$1" '
    FNR == 1 { struct = "" }
    { text[FILENAME] = text[FILENAME] $0 "\n" }
    struct != "" && !/^ *(\/\*.*)?$/ && !/^ *\*/ {
        if ($0 !~ /^    size_t size;/) print FILENAME ": " struct " does not begin with its size"
        struct = ""
    }
    match($0, /^typedef struct volt_[a-z0-9_]*_options/) {
        struct = substr($0, 16, RLENGTH - 15)
        file[struct] = FILENAME
    }
    END {
        for (s in file) {
            found++
            if (text[file[s]] !~ "[( \n]" s "_init\\(" s " \\*")
                print file[s] ": " s " has no " s "_init"
        }
        print found + 0 >count
    }' "${@:2}" | LC_ALL=C sort
}

mkdir -p "$2"
init='VOLT_API void volt_a_options_init(volt_a_options *o, size_t size);'
printf 'typedef struct volt_a_options {\n    size_t size; /* why */\n    int n;\n} volt_a_options;\n%s\n' \
    "$init" >"$2/good.h"
printf 'typedef struct volt_b_options {\n    int n;\n    size_t size;\n} volt_b_options;\n%s\n' \
    "${init//_a_/_b_}" >"$2/late.h"
printf 'typedef struct volt_c_options {\n    /* what */\n    size_t size;\n} volt_c_options;\n%s\n' \
    "$init" >"$2/bare.h"
planted=$(check "$2/count" "$2"/{good,late,bare}.h | sed 's|.*/||')
wanted='bare.h: volt_c_options has no volt_c_options_init
late.h: volt_b_options does not begin with its size'
[ "$planted" = "$wanted" ] || { printf 'planted errors go unnoticed:\n%s\n' "$planted" && exit 1; }

bad=$(check "$2/count" $(ls {base,volume,io,parallel,nets3d,show}/*.h 2>/dev/null))
echo "$(cat "$2/count") options structs looked at"
[ "$(cat "$2/count")" -ge 20 ] || exit 1
[ -z "$bad" ] || { echo "$bad" && exit 1; }
