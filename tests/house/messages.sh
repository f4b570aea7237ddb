#!/bin/bash
# Messages of the library name no option of the command line: the library says what is wrong,
# the command adds what helps (apps/cli/remedies.c).
# usage: messages.sh VOLT SCRATCH SOURCE
set -u
cd "$3" || exit 1

# Strings with an option, FILE:LINE: TEXT.
found=$(grep -rnE --include='*.c' --include='*.cxx' '"[^"]*(^|[^-])--[a-z][^"]*"' \
    base volume io parallel nets3d show)
if [ -n "$found" ]; then
    echo "messages of the library that name options:"
    echo "$found"
    exit 1
fi
[ "$(grep -rlE --include='*.c' 'volt_fail\(' io nets3d | wc -l)" -gt 50 ] || {
    echo "no sources found"
    exit 1
}
echo "no message names an option"
