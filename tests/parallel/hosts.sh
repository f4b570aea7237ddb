#!/bin/bash
# Ranks on 2 and 4 hosts over TCP: network namespaces of this machine, linked by a bridge, whose
# links have a rate and (where the kernel has netem) a latency. Training and prediction give what
# they give on one host; then efficiency against the speed of the links.
# usage: hosts.sh VOLT SCRATCH SOURCES [RATE[,LATENCY]]...     of a link: 1gbit 10gbit,50us
# HOSTS ("2 4"), NET and PATCH (hippocampus 40,56,40), REPEAT (3) for the figures.
# Needs root, iproute2, util-linux and Open MPI. A machine has no more cores than it has: ranks
# beyond them slow each other down whatever the link.
set -u
[ $# -ge 3 ] || { sed -n '5,8p' "$0" && exit 2; }
VOLT=$(realpath "$1")
rm -rf "$2"
mkdir -p "$2" || exit 1
SCRATCH=$(realpath "$2")
shift 3
links=("$@")
[ ${#links[@]} -gt 0 ] || links=(100mbit 1gbit 10gbit 10gbit,50us 10gbit,500us)
failed=0 checked=0
fail() {
    echo "FAIL: $1"
    failed=$((failed + 1))
}
skip() { echo "skipped: $1" && exit 77; }

[ "$(id -u)" -eq 0 ] || skip "network namespaces need root"
for tool in ip tc unshare hostname mpirun.openmpi; do
    command -v $tool >/dev/null || skip "$tool is not installed"
done
[ -e "$(dirname "$VOLT")/libvolt-mpi.so" ] || skip "libvolt-mpi.so was not built"

# ---- hosts ----

tag=v$$
made=0
clean() {
    local i
    for ((i = 0; i < made; i++)); do ip netns del "${tag}h$i"; done
    ip link del "${tag}br"
    for ((i = 0; i < made; i++)); do ip link del "${tag}e$i"; done
} >/dev/null 2>&1
trap clean EXIT
trap 'exit 1' INT TERM

bridge=10.231.77
make_host() { # NUMBER
    local host=${tag}h$1
    made=$(($1 + 1))
    ip netns add "$host" &&
        ip link add "${tag}e$1" type veth peer name eth0 netns "$host" &&
        ip link set "${tag}e$1" master "${tag}br" up &&
        ip -n "$host" addr add $bridge.$((made))/24 dev eth0 &&
        ip -n "$host" link set eth0 up && ip -n "$host" link set lo up
}
make_hosts() {
    local i
    ip link add "${tag}br" type bridge && ip link set "${tag}br" up &&
        ip addr add $bridge.254/24 dev "${tag}br" || return 1
    for ((i = 0; i < $1; i++)); do make_host $i || return 1; done
}

# set_link RATE[,LATENCY]: of every host, in the direction in which it sends.
set_link() {
    local rate=${1%%,*} latency= i host
    [ "$rate" = "$1" ] || latency=${1#*,}
    for ((i = 0; i < made; i++)); do
        host=${tag}h$i
        tc -n "$host" qdisc del dev eth0 root 2>/dev/null
        if [ -z "$latency" ]; then
            tc -n "$host" qdisc add dev eth0 root tbf rate "$rate" burst 512k latency 200ms
        else
            tc -n "$host" qdisc add dev eth0 root netem delay "$latency" rate "$rate" limit 100000
        fi || return 1
    done
}

# What mpirun calls instead of ssh: HOST COMMAND.
cat >"$SCRATCH/agent" <<'END'
#!/bin/bash
host=$1
shift
exec ip netns exec "$host" unshare --uts bash -c 'hostname "$0" && eval "$1"' "$host" "$*"
END
chmod +x "$SCRATCH/agent"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
# on HOSTS COMMAND...: a rank on each of so many hosts.
on() {
    local hosts=${tag}h0:1 i
    for ((i = 1; i < $1; i++)); do hosts+=,${tag}h$i:1; done
    timeout -k 5 "${LIMIT:-240}" mpirun.openmpi --mca plm_rsh_agent "$SCRATCH/agent" \
        --mca plm_rsh_no_tree_spawn 1 --mca pml ob1 --mca btl tcp,self \
        --mca btl_tcp_if_include $bridge.0/24 --mca oob_tcp_if_include $bridge.0/24 \
        --host "$hosts" -n "$1" --map-by node --bind-to none -x OMP_NUM_THREADS "${@:2}" </dev/null
}
# quietly COMMAND...: shows what it said if it failed.
quietly() {
    checked=$((checked + 1))
    "$@" >"$SCRATCH/out" 2>"$SCRATCH/err" && return
    fail "exit status $? of: $*"
    tail -20 "$SCRATCH/err" | sed 's/^/  /'
    return 1
}

most=0
for n in ${HOSTS:=2 4}; do [ "$n" -le $most ] || most=$n; done
make_hosts "$most" 2>"$SCRATCH/err" || skip "no network namespaces: $(tail -1 "$SCRATCH/err")"
quietly on 2 hostname || exit 1
printf '%s\n' "${tag}h0" "${tag}h1" | cmp -s - <(sort "$SCRATCH/out") ||
    fail "the ranks are not on hosts of their own: $(tr '\n' ' ' <"$SCRATCH/out")"

# ---- the same results ----

data=$SCRATCH/data
train=("$VOLT" train "$data" --work "$SCRATCH/work" --threads 1 --precision fp32 --batch 4 --epochs 2
    --iterations 3 --validation 1 -q)
losses() { grep -oE '"(train|validation)_loss": *[-0-9.e]+' "$1/log.jsonl"; }
# same_files A B: the same images, byte by byte.
same_files() {
    local file count=0
    for file in "$1"/*.nii.gz; do
        cmp -s "$file" "$2/$(basename "$file")" || fail "$file differs from that in $2"
        count=$((count + 1))
    done
    checked=$((checked + 1))
    [ $count -gt 0 ] || fail "$1 has no images"
}
quietly "$VOLT" phantom brats "$data" --cases 5 --size 24 --seed 5 -q || exit 1
quietly "${train[@]}" -o "$SCRATCH/one" || exit 1
quietly "$VOLT" predict "$SCRATCH/one" "$data/imagesTr" -o "$SCRATCH/masks" --no-mirror --threads 1 -q
set_link 10gbit || fail "the links take no rate"
for n in $HOSTS; do
    for mesh in data=$n z=$n; do
        here=$SCRATCH/here-$mesh there=$SCRATCH/there-$mesh
        quietly "${train[@]}" -o "$here" --ranks "$n" --mesh "$mesh"
        quietly on "$n" "${train[@]}" -o "$there" --mesh "$mesh" || continue
        [ "$(losses "$there" | wc -l)" -eq 4 ] || fail "$mesh: log.jsonl lacks losses"
        cmp -s <(losses "$here") <(losses "$there") || fail "$mesh: hosts have other losses than threads"
        paste -d : <(losses "$SCRATCH/one") <(losses "$there") | awk -F : '{ d = $2 - $4
            if (d < 0) d = -d; if (d > 1e-4) exit 1 }' || fail "$mesh: other losses than on one rank"
    done
    for mesh in cases z=$n; do
        quietly on "$n" "$VOLT" predict "$SCRATCH/one" "$data/imagesTr" -o "$SCRATCH/masks-$mesh-$n" \
            --mesh "$mesh" --no-mirror --threads 1 -q || continue
        if [ "$mesh" = cases ]; then
            same_files "$SCRATCH/masks" "$SCRATCH/masks-$mesh-$n"
        else
            quietly "$VOLT" predict "$SCRATCH/one" "$data/imagesTr" -o "$SCRATCH/here-$mesh-$n" --ranks "$n" \
                --mesh "$mesh" --no-mirror --threads 1 -q && same_files "$SCRATCH/here-$mesh-$n" "$SCRATCH/masks-$mesh-$n"
        fi
    done
    echo "$n hosts: training and prediction as on one"
done

# ---- efficiency ----

echo
grep -m 1 '^model name' /proc/cpuinfo | sed 's/.*: *//; s/$/, 1 thread a rank, '"$(getconf _NPROCESSORS_ONLN)"' cores/'
printf '%-16s %5s  %-5s %9s %10s %8s\n' link hosts over step efficiency waiting
for link in "${links[@]}"; do
    set_link "$link" 2>"$SCRATCH/err" || { echo "$link: not measured: $(tail -1 "$SCRATCH/err")" && continue; }
    for n in $HOSTS; do
        quietly on "$n" "$VOLT" bench scaling --net "${NET:-hippocampus}" --patch "${PATCH:-40,56,40}" \
            --mode strong --ranks "1,$n" --threads 1 --repeat "${REPEAT:-3}" -q || continue
        awk -v link="$link" -v n="$n" '/scaling over/ { over = $4; sub(":", "", over) }
            $1 == n && $2 ~ /=/ { printf "%-16s %5d  %-5s %7s s %10s %6s %%\n", link, n, over, $3, $7, $10 }' \
            "$SCRATCH/out"
    done
done
echo "$checked steps, $failed failure$([ $failed -eq 1 ] || echo s)"
[ $failed -eq 0 ]
