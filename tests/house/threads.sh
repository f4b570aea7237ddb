#!/bin/bash
# Every public header states its thread rules: its first comment has a line " * Threads ..." of
# three words or more, none of them TODO or the like.
# usage: threads.sh VOLT SCRATCH SOURCE
set -u
cd "$3" || exit 1

# Prints the files whose first comment lacks the line.
silent() {
    awk 'FNR == 1 { file = FILENAME; said[file] = 0; over = 0 }
         !over && /^ \* Threads +[^ ]/ && NF >= 5 && !/TODO|FIXME|XXX|TBD/ { said[file] = 1 }
         /\*\// { over = 1 }
         END { for (file in said) if (!said[file]) print file }' "$@" | LC_ALL=C sort
}

headers=$(ls volt.h {base,volume,io,parallel,nets3d,show}/*.h 2>/dev/null)
missing=$(silent $headers)
mkdir -p "$2"
printf '/* a.h - what.\n */\n/*\n * Threads  all of them may.\n */\n' >"$2/a.h"
printf '/* b.h - what.\n * Threads  all of them may.\n */\n' >"$2/b.h"
printf '/* c.h - what.\n * Threads  TODO\n */\n' >"$2/c.h"
printf '/* d.h - what.\n * Threads  TODO: say who may.\n */\n' >"$2/d.h"
[ "$(cd "$2" && silent [a-d].h | tr '\n' ' ')" = "a.h c.h d.h " ] || { echo "a silent header goes unnoticed" && exit 1; }
echo "$(wc -w <<<"$headers") public headers looked at"
[ -z "$missing" ] || { sed 's/$/: no line " * Threads" in its first comment/' <<<"$missing" && exit 1; }
