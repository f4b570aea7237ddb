#!/bin/bash
# Every header, and volt.h, compiles alone as C17 with the warnings a strict user has on.
# usage: headers_c.sh VOLT SCRATCH SOURCE
. "$3/tests/house/headers.inc"
compiler=$(compiler_of C cc gcc clang) || exit 1
headers_alone c "$compiler" -std=c17
