#!/bin/bash
# Messages, sums, groups and agreement of ranks that are processes; as those of threads.
# usage: messages.sh PROGRAM SCRATCH SOURCE MPI
. "$3/tests/cli/common.inc"
VOLT_TEST_MPI=$4
. "$3/tests/cli/mpi.inc"

for n in 1 2 4; do
    expect 0 ranks $n "$VOLT" cases
    out_has "^$n rank\\(s\\) of .*: 13 cases passed"
done
expect 0 ranks 2 "$VOLT" pieces
out_has 'cases passed'
# A rank that computes for long is not missing.
expect 0 ranks 2 "$VOLT" slow 1 23
# Without its plug-in, and under another MPI's launcher.
VOLT_PLUGINS=$SCRATCH expect 6 ranks 2 "$VOLT" cases
err_has "^volt: there is no plug-in for .* in $SCRATCH \\(VOLT_PLUGINS\\): $plugin is missing"
echo 'int x;' >"$SCRATCH/$plugin"
VOLT_PLUGINS=$SCRATCH expect 6 ranks 2 "$VOLT" cases
err_has "^volt: cannot load $SCRATCH/$plugin: "
if command -v cc >"$SCRATCH/null"; then
    echo 'const int volt_plugin_abi = 99; int volt_plugin_start(void) { return 0; }' >"$SCRATCH/other.c"
    expect 0 cc -shared -fPIC -o "$SCRATCH/$plugin" "$SCRATCH/other.c"
    VOLT_PLUGINS=$SCRATCH expect 6 ranks 2 "$VOLT" cases
    err_has "^volt: $SCRATCH/$plugin belongs to another version of VOLT \\(ABI 99"
fi
# A launcher that tells a process its number only, and belongs to no MPI.
PMIX_RANK=1 expect 6 timeout 60 "$VOLT" cases
err_has '^volt: a PMIx launcher started several processes \(PMIX_RANK\)'
if [ -e "$plugins/libvolt-mpi.so" ] && [ -e "$plugins/libvolt-mpich.so" ]; then
    other=openmpi
    [ "$mpi" = mpich ] || other=mpich
    VOLT_MPI=$other expect 6 ranks 2 "$VOLT" cases
    err_has '^volt: an MPI launcher started 2 processes .*another MPI'
fi
done_testing
