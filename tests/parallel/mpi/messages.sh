#!/bin/bash
# Messages, sums, groups and agreement of ranks that are processes; as those of threads.
# usage: messages.sh PROGRAM SCRATCH SOURCE MPI
. "$(dirname "$0")/common.inc"

for ranks in 1 2 4; do
    timeout 120 "${launch[@]}" -n $ranks "$program" cases >out 2>err
    status=$?
    [ $status -eq 0 ] && grep -q "^$ranks rank(s) of .*: 13 cases passed" out ||
        { fail "$ranks ranks: exit code $status" && cat out err; }
    cat out
done
timeout 120 "${launch[@]}" -n 2 "$program" pieces >out 2>err && grep -q 'cases passed' out ||
    { fail "messages in pieces" && cat out err; }
# A rank that computes for long is not missing.
timeout 120 "${launch[@]}" -n 2 "$program" slow 1 23 >out 2>err || { fail "a slow rank" && cat out err; }
# Without its plug-in, and under another MPI's launcher.
VOLT_PLUGINS=$scratch timeout 60 "${launch[@]}" -n 2 "$program" cases >out 2>err
status=$?
[ $status -eq 6 ] && grep -q "volt: there is no plug-in for .* in $scratch (VOLT_PLUGINS): $plugin is missing" err ||
    { fail "no plug-in: $status" && cat err; }
echo 'int x;' >"$scratch/$plugin"
VOLT_PLUGINS=$scratch timeout 60 "${launch[@]}" -n 2 "$program" cases >out 2>err
status=$?
[ $status -eq 6 ] && grep -q "volt: cannot load $scratch/$plugin: " err ||
    { fail "a damaged plug-in: $status" && cat err; }
if command -v cc >/dev/null; then
    echo 'const int volt_plugin_abi = 99; int volt_plugin_start(void) { return 0; }' >other.c
    cc -shared -fPIC -o "$scratch/$plugin" other.c || fail "no plug-in of another version"
    VOLT_PLUGINS=$scratch timeout 60 "${launch[@]}" -n 2 "$program" cases >out 2>err
    status=$?
    [ $status -eq 6 ] && grep -q "volt: $scratch/$plugin belongs to another version of VOLT (ABI 99" err ||
        { fail "a plug-in of another version: $status" && cat err; }
fi
# A launcher that tells a process its number only, and belongs to no MPI.
PMIX_RANK=1 timeout 60 "$program" cases >out 2>err
status=$?
[ $status -eq 6 ] && grep -q 'volt: a PMIx launcher started several processes (PMIX_RANK)' err ||
    { fail "an unknown launcher: $status" && cat out err; }
if [ -e "$VOLT_PLUGINS/libvolt-mpi.so" ] && [ -e "$VOLT_PLUGINS/libvolt-mpich.so" ]; then
    other=openmpi
    [ "$mpi" = mpich ] || other=mpich
    VOLT_MPI=$other timeout 60 "${launch[@]}" -n 2 "$program" cases >out 2>err
    status=$?
    [ $status -eq 6 ] && grep -q "volt: an MPI launcher started 2 processes .*another MPI" err ||
        { fail "the other MPI: $status" && cat err; }
fi
exit $failed
