#!/bin/bash
# Ranks on 2 and 4 hosts over TCP: network namespaces of this machine whose links have a rate and
# a latency. Training and prediction give what they give on one host; then efficiency against the
# speed of the links, as a table for docs/parallel.md.
# usage: hosts.sh VOLT SCRATCH SOURCES [RATE[,LATENCY]]...     of a link: 1gbit 10gbit,50us
# HOSTS ("2 4"); STEPS ("links results figures"); for the figures NET and PATCH (hippocampus
# 40,56,40; PATCH=16,16,16 for a short run) and REPEAT (3). MEDIUM: tc (netem) or relay
# (link_delay.c, the default where the kernel has no netem).
# Needs root, iproute2, util-linux, Open MPI, and /dev/net/tun for the relay. A machine has no more
# cores than it has: ranks beyond them slow each other down whatever the link.
set -u
[ $# -ge 3 ] || { sed -n '5,10p' "$0" && exit 2; }
VOLT=$(realpath "$1")
rm -rf "$2"
mkdir -p "$2" || exit 1
SCRATCH=$(realpath "$2")
shift 3
links=("$@")
[ ${#links[@]} -gt 0 ] || links=(100mbit 1gbit 10gbit 10gbit,50us 10gbit,500us)
tools=$(dirname "$VOLT")/tests
failed=0 checked=0
fail() {
    echo "FAIL: $1"
    failed=$((failed + 1))
}
skip() { echo "skipped: $1" && exit 77; }
does() { [[ " ${STEPS:-links results figures} " == *" $1 "* ]]; }

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
    [ -z "${RELAY_PID:-}" ] || kill "$RELAY_PID"
    for ((i = 0; i < made; i++)); do ip netns del "${tag}h$i"; done
    ip link del "${tag}br"
    for ((i = 0; i < made; i++)); do ip link del "${tag}e$i"; done
} >/dev/null 2>&1
trap clean EXIT
trap 'exit 1' INT TERM

network=10.231.77
up() { # NUMBER
    local host=${tag}h$1
    ip -n "$host" addr add $network.$(($1 + 1))/24 dev eth0 && ip -n "$host" link set eth0 up &&
        ip -n "$host" link set lo up
}
make_host() { # NUMBER: with a link to the bridge
    ip link add "${tag}e$1" type veth peer name eth0 netns "${tag}h$1" &&
        ip link set "${tag}e$1" master "${tag}br" up && up "$1"
}
make_bridge() {
    ip link add "${tag}br" type bridge && ip link set "${tag}br" up &&
        ip addr add $network.254/24 dev "${tag}br"
}
# The relay has a device for each host, and one for the launcher on this side.
start_relay() { # HOSTS
    local i line
    coproc RELAY { exec "$tools/link_delay" "${tag}t" $(($1 + 1)); }
    read -r -t 10 -u "${RELAY[0]}" line || return 1
    for ((i = 0; i < $1; i++)); do
        ip link set "${tag}t$i" netns "${tag}h$i" name eth0 && up $i || return 1
    done
    ip addr add $network.254/24 dev "${tag}t$1" && ip link set "${tag}t$1" up
}
has_netem() {
    tc -n "${tag}h0" qdisc add dev lo root netem delay 1us 2>/dev/null &&
        tc -n "${tag}h0" qdisc del dev lo root
}
make_hosts() { # HOSTS
    local i
    for ((i = 0; i < $1; i++)); do
        ip netns add "${tag}h$i" || return 1
        made=$((i + 1))
    done
    [ -n "${MEDIUM:-}" ] || { has_netem && MEDIUM=tc; } ||
        { [ -c /dev/net/tun ] && [ -x "$tools/link_delay" ] && MEDIUM=relay; } || MEDIUM=tc
    if [ "$MEDIUM" = relay ]; then
        start_relay "$1"
    else
        make_bridge || return 1
        for ((i = 0; i < $1; i++)); do make_host $i || return 1; done
    fi
}

# bits_of RATE, ns_of LATENCY: 10gbit, 50us; nothing for what is neither.
bits_of() {
    awk -v t="$1" 'BEGIN { if (match(t, /^[0-9.]+/)) { n = substr(t, 1, RLENGTH); u = substr(t, RLENGTH + 1)
        f["kbit"] = 1e3; f["mbit"] = 1e6; f["gbit"] = 1e9; if (u in f) printf "%.0f", n * f[u] } }'
}
ns_of() {
    awk -v t="$1" 'BEGIN { if (match(t, /^[0-9.]+/)) { n = substr(t, 1, RLENGTH); u = substr(t, RLENGTH + 1)
        f["us"] = 1e3; f["ms"] = 1e6; f["s"] = 1e9; if (u in f) printf "%.0f", n * f[u] } }'
}

# set_link RATE[,LATENCY]: of every host, in the direction in which it sends. BITS, NS.
set_link() {
    local rate=${1%%,*} latency=0us i host
    [ "$rate" = "$1" ] || latency=${1#*,}
    BITS=$(bits_of "$rate") NS=$(ns_of "$latency")
    [ -n "$BITS" ] && [ -n "$NS" ] || { echo "not a link: '$1'" >&2 && return 1; }
    if [ "$MEDIUM" = relay ]; then
        echo "$BITS $NS" >&"${RELAY[1]}" && read -r -t 10 -u "${RELAY[0]}" FRAMES DROPPED CPU
        return
    fi
    for ((i = 0; i < made; i++)); do
        host=${tag}h$i
        tc -n "$host" qdisc del dev eth0 root 2>/dev/null
        if [ "$NS" -eq 0 ]; then
            tc -n "$host" qdisc add dev eth0 root tbf rate "$rate" burst 512k latency 200ms
        else
            tc -n "$host" qdisc add dev eth0 root netem delay "$latency" rate "$rate" limit 100000
        fi || return 1
    done
}

# within LEAST MOST VALUE
within() { awk -v a="$1" -v b="$2" -v x="$3" 'BEGIN { exit !(x != "" && x + 0 >= a && x + 0 <= b) }'; }

# check_link LINK: small messages take twice the latency to go and come back, large ones are as
# fast as the rate, or as a busy machine lets them be. TRIP (us), SPEED (bit/s): as measured.
check_link() {
    local least bytes slowest=0 server
    checked=$((checked + 1))
    bytes=$(awk -v b="$BITS" 'BEGIN { n = b / 8 * 0.2; n = n < 1e5 ? 1e5 : n; printf "%d", (n > 1e8 ? 1e8 : n) }')
    ip netns exec "${tag}h1" "$tools/link_probe" answer $network.2 7777 >/dev/null 2>&1 &
    server=$!
    read -r least TRIP SPEED < <(ip netns exec "${tag}h0" "$tools/link_probe" ask $network.2 7777 200 "$bytes")
    kill $server 2>/dev/null
    wait $server 2>/dev/null
    within $((NS / 500)) $((NS / 500 * 11 / 10 + 300)) "${least:-}" ||
        fail "$1: a round trip takes ${least:-no} us, not $((NS / 500))"
    [ "$BITS" -gt 1000000000 ] || slowest=$((BITS / 10))
    [ "$BITS" -gt 100000000 ] || slowest=$((BITS / 2))
    within $slowest $((BITS / 10 * 11)) "${SPEED:-}" || fail "$1: ${SPEED:-no} bit/s"
    command -v ping >/dev/null || return 0
    least=$(ip netns exec "${tag}h0" ping -q -c 20 -i 0.01 $network.2 | sed -n 's,^rtt [^=]*= \([0-9.]*\)/.*,\1,p')
    within "$(awk -v n=$NS 'BEGIN { print n / 5e5 }')" "$(awk -v n=$NS 'BEGIN { print n / 5e5 * 1.1 + 0.3 }')" \
        "$least" || fail "$1: ping takes ${least:-no} ms, not $(awk -v n=$NS 'BEGIN { print n / 5e5 }')"
}

# What mpirun calls instead of ssh: HOST COMMAND.
cat >"$SCRATCH/agent" <<'AGENT'
#!/bin/bash
host=$1
shift
exec ip netns exec "$host" unshare --uts bash -c 'hostname "$0" && eval "$1"' "$host" "$*"
AGENT
chmod +x "$SCRATCH/agent"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMP_NUM_THREADS=1
export OMPI_MCA_btl_vader_single_copy_mechanism=none
# on HOSTS COMMAND...: a rank on each of so many hosts.
on() {
    local hosts=${tag}h0:1 i
    for ((i = 1; i < $1; i++)); do hosts+=,${tag}h$i:1; done
    timeout -k 5 "${LIMIT:-240}" mpirun.openmpi --mca plm_rsh_agent "$SCRATCH/agent" \
        --mca plm_rsh_no_tree_spawn 1 --mca pml ob1 --mca btl tcp,self \
        --mca btl_tcp_if_include $network.0/24 --mca oob_tcp_if_include $network.0/24 \
        --host "$hosts" -n "$1" --map-by node --bind-to none -x OMP_NUM_THREADS "${@:2}" </dev/null
}
# here RANKS COMMAND...: on this host, through shared memory.
here() {
    timeout -k 5 "${LIMIT:-240}" mpirun.openmpi --oversubscribe --bind-to none -n "$@" </dev/null
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
case $MEDIUM in
relay) medium="TAP devices and a relay in user space" ;;
tc) medium="veth pairs and tc" ;;
esac
quietly on 2 hostname || exit 1
printf '%s\n' "${tag}h0" "${tag}h1" | cmp -s - <(sort "$SCRATCH/out") ||
    fail "the ranks are not on hosts of their own: $(tr '\n' ' ' <"$SCRATCH/out")"

# ---- links ----

if does links; then
    for link in 100mbit 1gbit,200us 1gbit,5ms; do
        if set_link $link 2>"$SCRATCH/err"; then
            check_link $link
            echo "a link of $link by $medium: round trip $TRIP us, $((SPEED / 1000000)) Mbit/s"
        elif [ "$MEDIUM" = tc ] && [[ $link == *,* ]]; then
            echo "a link of $link: not possible: $(tail -1 "$SCRATCH/err")"
        else
            fail "a link of $link: $(tail -1 "$SCRATCH/err")"
        fi
    done
fi

# ---- the same results ----

data=$SCRATCH/data
train=("$VOLT" train "$data" --work "$SCRATCH/work" --threads 1 --precision fp32 --batch 4 --epochs 2
    --iterations 3 --validation 1 -q)
predict=("$VOLT" predict "$SCRATCH/one" "$data/imagesTr" --no-mirror --threads 1 -q)
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
# trains HOSTS MESH: the bits of ranks that are threads; to rounding the losses of one rank.
trains() {
    local near=$SCRATCH/near-$2 far=$SCRATCH/far-$2
    quietly "${train[@]}" -o "$near" --ranks "$1" --mesh "$2"
    quietly on "$1" "${train[@]}" -o "$far" --mesh "$2" || return
    [ "$(losses "$far" | wc -l)" -eq 4 ] || fail "$2: log.jsonl lacks losses"
    cmp -s <(losses "$near") <(losses "$far") || fail "$2: hosts have other losses than threads"
    paste -d : <(losses "$SCRATCH/one") <(losses "$far") | awk -F : '{ d = $2 - $4
        if (d < 0) d = -d; if (d > 1e-4) exit 1 }' || fail "$2: other losses than on one rank"
}
# predicts HOSTS MESH: the masks of one rank, or of ranks that are threads.
predicts() {
    local near=$SCRATCH/near-predict-$2-$1 far=$SCRATCH/far-predict-$2-$1
    if [ "$2" = cases ]; then near=$SCRATCH/masks; else
        quietly "${predict[@]}" -o "$near" --ranks "$1" --mesh "$2"
    fi
    quietly on "$1" "${predict[@]}" -o "$far" --mesh "$2" && same_files "$near" "$far"
}
if does results; then
    quietly "$VOLT" phantom brats "$data" --cases 5 --size 24 --seed 5 -q || exit 1
    quietly "${train[@]}" -o "$SCRATCH/one" || exit 1
    quietly "${predict[@]}" -o "$SCRATCH/masks"
    set_link 10gbit || fail "the links take no rate"
    for n in $HOSTS; do
        meshes=("data=$n" "z=$n")
        [ "$n" -ne 4 ] || meshes=(data=4 z=2,y=2 data=2,z=2)
        for mesh in "${meshes[@]}"; do trains "$n" "$mesh"; done
        for mesh in cases tiles "z=$n"; do predicts "$n" "$mesh"; done
        echo "$n hosts: training (${meshes[*]}) and prediction (cases, tiles, z=$n) as on one"
    done
fi

# ---- efficiency ----

bench=("$VOLT" bench scaling --net "${NET:=hippocampus}" --patch "${PATCH:=40,56,40}" --mode strong
    --threads 1 --repeat "${REPEAT:=3}" -q)
# steps RANKS OVER: "SECONDS WAITED%" of the row of the last measurement.
steps() {
    awk -v n="$1" -v over="$2" '/scaling over/ { on = index($0, "over " over ":") }
        on && $1 == n && $2 ~ /=/ { print $3, $10 }' "$SCRATCH/out"
}
declare -A alone # seconds of one rank
# cells: efficiency and waiting of the last measurement on RANKS, as two cells.
cells() {
    local over
    for over in data space; do
        awk -v t="${alone[$1$over]}" -v n="$1" -v row="$(steps "$1" $over)" 'BEGIN { split(row, r)
            if (r[1] > 0) printf " %.2f (%.0f %%) |", t / n / r[1], r[2]; else printf " failed |" }'
    done
}
figures() {
    local n over row link head='| link | round trip | measured rate |' rule='|---|---|---|'
    for n in $HOSTS; do
        head+=" $n hosts, data | $n hosts, space |" rule+='---|---|'
    done
    row='| one host | | |'
    for n in $HOSTS; do
        quietly here "$n" "${bench[@]}" --ranks "1,$n" || return
        for over in data space; do alone[$n$over]=$(steps 1 $over | cut -d' ' -f1); done
        row+=$(cells "$n")
    done
    printf '%s\n' "$head" "$rule" "$row"
    for link in "${links[@]}"; do
        set_link "$link" 2>"$SCRATCH/err" || { fail "$link: not measured: $(tail -1 "$SCRATCH/err")" && continue; }
        check_link "$link"
        row=$(awk -v l="$link" -v t="$TRIP" -v s="$SPEED" 'BEGIN { sub(/,/, ", ", l)
            printf "| %s | %.2f ms | %.2f Gbit/s |", l, t / 1000, s / 1e9 }')
        for n in $HOSTS; do
            quietly on "$n" "${bench[@]}" --ranks "$n" || : >"$SCRATCH/out"
            row+=$(cells "$n")
        done
        echo "$row"
    done
}
if does figures; then
    echo
    figures
    printf '\n%s, %s cores, 1 thread a rank; %s, patch %s, fp32, median of %s steps; links of %s.\n' \
        "$(grep -m 1 '^model name' /proc/cpuinfo | sed 's/.*: *//')" "$(getconf _NPROCESSORS_ONLN)" "$NET" \
        "${PATCH//,/ x }" "$REPEAT" "$medium"
    [ "$MEDIUM" = tc ] || { set_link 10gbit && echo "The relay passed on $FRAMES frames, dropped $DROPPED," \
        "and took $CPU s of processor time, which the ranks lacked."; }
fi
echo "$checked steps, $failed failure$([ $failed -eq 1 ] || echo s)"
[ $failed -eq 0 ]
