#!/bin/bash
# Every command under a limit drawn at random: of address space, data, file size, processes,
# open files, processor time or disk space, and with a standard output that cannot be written.
# It succeeds or ends with one sentence and the exit code of the list, never by a signal, a
# library or half a file; without the limit the same command then ends as if nothing had
# happened.
# usage: limit.sh VOLT SCRATCH SOURCES [COUNT [SEED]]
SHORT_ROUND=21
. "$(dirname "$0")/jobs.inc"

prepare
for job in "${JOBS[@]}"; do reference "$job"; done

# The least memory with which the program starts at all: below it the loader fails.
floor=65536 memory='memory memory memory data'
if grep -q __asan_init "$VOLT"; then
    echo "skipped: limits of memory, AddressSanitizer takes terabytes of addresses"
    floor= memory=
fi
until [ -z "$memory" ] || (ulimit -v $floor && "$VOLT" --version >/dev/null 2>&1); do floor=$((floor + 8192)); done

# RLIMIT_NPROC does not bind root: a number that nobody uses does, where it may be taken on.
as_user=()
if [ "$(id -u)" -eq 0 ] && setpriv --reuid 54321 --clear-groups true 2>/dev/null; then
    chmod -R a+rwX "$SCRATCH"
    setpriv --reuid 54321 --clear-groups test -x "$VOLT" -a -w "$SCRATCH" &&
        as_user=(setpriv --reuid 54321 --clear-groups)
fi

# limited LIMIT VALUE: CMD under it.
limited() {
    case $1 in
    memory) ulimit -v "$2" ;;
    data) ulimit -d "$2" ;;
    file) ulimit -f "$2" ;;
    processes) ulimit -u "$2" ;;
    files) ulimit -n "$2" ;;
    time) ulimit -S -t "$2" ;;
    full) exec >/dev/full ;;
    closed) exec >&- ;;
    esac
    if [ "$1" = processes ]; then exec "${as_user[@]}" "${CMD[@]}"; else exec "${CMD[@]}"; fi
}

# A small file system to fill: only root may mount one.
disk=
[ "$(id -u)" -eq 0 ] && mkdir -p "$W" && mount -t tmpfs -o size=4k tmpfs "$W" 2>/dev/null && umount "$W" &&
    disk=disk
trap '[ -z "$disk" ] || umount -q "$W" 2>/dev/null' EXIT
[ -n "$disk" ] || echo "skipped: full disks, only root may mount a small one"

limits=($memory file file processes files time full closed $disk)
[ ${#as_user[@]} -gt 0 ] || [ "$(id -u)" -ne 0 ] || echo "skipped: limits of processes, root has none"
declare -A seen
for ((i = 0; i < COUNT; i++)); do
    below ${#JOBS[@]}
    job=${JOBS[DRAWN]}
    below ${#limits[@]}
    limit=${limits[DRAWN]}
    rm -rf "$W" && mkdir "$W" && chmod a+rwx "$W"
    case $limit in
    memory) below 10 && below $((DRAWN < 7 ? 250000 : 900000)) && value=$((floor + DRAWN)) ;;
    data) below 10 && below $((DRAWN < 7 ? 150000 : 600000)) && value=$((8000 + DRAWN)) ;;
    file) below 200 && value=$DRAWN ;;
    processes) below 8 && value=$((1 + DRAWN)) ;;
    files) below 20 && value=$((4 + DRAWN)) ;;
    time) value=1 ;;
    disk) below 400 && value=$((4 + 4 * DRAWN)) && mount -t tmpfs -o size=${value}k tmpfs "$W" ;;
    *) value= ;;
    esac
    set_command "$job"
    below 6 # the result is the same for every number of threads
    for ((k = 1; k < ${#CMD[@]}; k++)); do
        [ "${CMD[k - 1]}" != --threads ] || CMD[k]=$((1 + DRAWN))
    done
    # Through a pipe: a file would be limited too.
    (limited $limit $value) 2>&1 >/dev/null </dev/null | cat >"$ERR"
    code=${PIPESTATUS[0]}
    seen[$code]=$((${seen[$code]:-0} + 1))
    case $code in
    0) ;;
    3 | 4 | 7 | 9) one_sentence "$job" "$limit $value" ;;
    5 | 6) one_sentence "$job" "$limit $value" && fail "$job, $limit $value: exit status $code" ;;
    127) [ "$limit" = memory ] || [ "$limit" = data ] || [ "$limit" = files ] ||
        fail "$job, $limit $value: exit status 127" ;; # the loader's, before main()
    *) fail "$job, $limit $value: exit status $code" ;;
    esac
    [ -z "$(find "$W" -name '.volt-tmp-*')" ] || [ $code -gt 126 ] ||
        fail "$job, $limit $value: left behind $(find "$W" -name '.volt-tmp-*')"
    [ "$limit" != processes ] || chmod -R a+rwX "$W" # of that user
    [ "$limit" != disk ] || mount -o remount,size=100m "$W"
    set_again "$job"
    "${CMD[@]}" >"$SCRATCH/out" 2>"$ERR" </dev/null
    code=$?
    [ $code -eq 0 ] || grep -qE "$FINISHED" "$ERR" ||
        fail "$job after $limit $value: exit status $code"
    same_as_reference "$job" "after $limit $value"
    no_leftovers "$job" "after $limit $value"
    [ "$limit" != disk ] || umount "$W"
done
codes=
for code in $(printf '%s\n' "${!seen[@]}" | sort -n); do codes+=" $code:${seen[$code]}"; done
done_testing "$COUNT runs under limits (exit codes$codes)"
