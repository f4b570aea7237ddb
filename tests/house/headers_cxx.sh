#!/bin/bash
# Every header, and volt.h, compiles alone as C++17 with the warnings a strict user has on.
# usage: headers_cxx.sh VOLT SCRATCH SOURCE
. "$3/tests/house/headers.inc"
compiler=$(compiler_of CXX c++ g++ clang++)
case $? in
0) headers_alone cc "$compiler" -std=c++17 ;;
*) [ -n "$(sed -n 's/^CMAKE_CXX_COMPILER:[A-Z]*=//p' "$cache")" ] && exit 1
   echo "skipped: there is no C++ compiler" && exit 77 ;;
esac
