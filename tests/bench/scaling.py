#!/usr/bin/env python3
"""Training on 2 ranks next to PyTorch DDP (gloo): efficiency of 2 ranks x 1 thread, alternating in one run.

usage: scaling.py --volt build/volt --peers DIR [--python PYTHON] [--rounds 3] [--repeat 3] [--only TEXT] [--json FILE]
DIR holds torch_unet.py, whose networks, loss and optimizer both use; PYTHON has torch and dynamic_network_architectures, without
which the script exits with 77. Each side trains a batch of 2 samples on 1 rank x 1 thread, on 1 rank x 2 threads and on 2 ranks x
1 thread; volt over data (as DDP) and over space, once as threads and, with --mpirun COMMAND, as processes. A round runs every program
once; the table gives the median over the rounds of their median steps:

    efficiency = (1 rank x 1 thread) / (2 x step)        and        (1 rank x 2 threads) / step

Nothing else may run on the machine meanwhile, which needs 2 cores.
"""
import argparse, json, os, platform, shlex, socket, statistics, subprocess, sys, time

WORK = [("brats", "128,128,128"), ("mlperf", "128,128,128"), ("hippocampus", "40,56,40"), ("liver2d", "512,512")]
BATCH = 2
SHAPES = ((1, 1), (1, 2), (2, 1))  # ranks x threads


def train(o, rank, ranks):
    """One rank of DDP: prints its median step."""
    sys.path.insert(0, o.peers)
    import torch
    import torch_unet as peer
    torch.set_num_threads(o.threads)
    torch.manual_seed(1 + rank)
    if ranks > 1:
        torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{o.port}", rank=rank, world_size=ranks)
    spec, patch = peer.NETS[o.net], tuple(map(int, o.patch.split(",")))
    net = peer.network(o.net, len(patch)).train()
    net.decoder.seg_layers[:-1].requires_grad_(False)  # unused without deep supervision, which DDP refuses
    run = torch.nn.parallel.DistributedDataParallel(net, gradient_as_bucket_view=True) if ranks > 1 else net
    x = torch.randn((BATCH // ranks, spec[3]) + patch)
    y = torch.randint(0, spec[4], (BATCH // ranks,) + patch)
    opt = torch.optim.SGD(net.parameters(), 1e-2, momentum=0.99, nesterov=True, weight_decay=3e-5)

    def step():
        opt.zero_grad(set_to_none=True)
        peer.dice_ce(run(x), y).backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 12)
        opt.step()
    times = []
    for i in range(o.repeat + 1):
        if ranks > 1:
            torch.distributed.barrier()
        start = time.perf_counter()
        step()
        times.append(time.perf_counter() - start)
    print(json.dumps({"torch": torch.__version__, "median_s": statistics.median(times[1:])}), flush=True)
    if ranks > 1:
        torch.distributed.destroy_process_group()


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def run(commands, threads):
    """The JSON lines of processes that run at the same time."""
    env = dict(os.environ, OMP_NUM_THREADS=str(threads))
    all = [subprocess.Popen(c, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) for c in commands]
    found = []
    for c, p in zip(commands, all):
        out, err = p.communicate()
        if p.returncode:
            sys.exit(f"{' '.join(c)} failed:\n{err[-2000:]}")
        found += [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    return found


def torch_step(o, net, patch, ranks, threads):
    port = free_port()
    found = run([[o.python, os.path.abspath(__file__), "--worker", str(rank), str(ranks), "--peers", o.peers, "--net", net, "--patch", patch,
                  "--threads", str(threads), "--repeat", str(o.repeat), "--port", str(port)] for rank in range(ranks)], threads)
    return max(f["median_s"] for f in found)


def volt_steps(o, net, patch, ranks, threads, launch):
    """Seconds of a step over data and over space, and the fractions spent waiting."""
    found = run([[*launch, o.volt, "bench", "scaling", "--net", net, "--patch", patch, "--batch", str(BATCH), "--mode", "strong",
                  "--ranks", str(ranks), "--threads", str(threads), "--repeat", str(o.repeat), "--json", "-q"]], threads)
    rows = {r["over"]: r for r in found[0]["rows"]}
    return {over: (r["step_s"], r["waiting_fraction"]) for over, r in rows.items()}


def round_of(o, net, patch):
    """{side: {(ranks, threads): (seconds, fraction waiting or None)}}"""
    out = {}
    for ranks, threads in SHAPES:
        for launch in [[]] + ([shlex.split(o.mpirun) + ["-n", str(ranks)]] if o.mpirun and ranks > 1 else []):
            for over, found in volt_steps(o, net, patch, ranks, threads, launch).items():
                out.setdefault(f"volt, {over}" + (", MPI" if launch else ""), {})[ranks, threads] = found
        out.setdefault("PyTorch DDP", {})[ranks, threads] = (torch_step(o, net, patch, ranks, threads), None)
    for side, steps in out.items():  # one rank needs no launcher
        for shape in SHAPES[:2]:
            steps.setdefault(shape, out[side.removesuffix(", MPI")][shape])
    return out


def table(name, rounds):
    """Lines of the table, and its figures."""
    def median(side, shape, i=0):
        return statistics.median(r[side][shape][i] for r in rounds)
    figures = []
    peer = median("PyTorch DDP", (2, 1))
    for side in rounds[0]:
        one, wide, two = (median(side, shape) for shape in SHAPES)
        waiting = "" if side.startswith("PyTorch") else f"{100 * median(side, (2, 1), 1):.1f} %"
        figures.append({"work": name, "side": side, "one_s": one, "two_threads_s": wide, "two_ranks_s": two,
                        "efficiency": one / (2 * two), "against_threads": wide / two, "faster_than_ddp": peer / two})
        print(f"| {name} | {side} | {one:.3g} s | {wide:.3g} s | {two:.3g} s | {one / (2 * two):.3f} | {wide / two:.3f} | {waiting} | "
              f"{peer / two:.2f} x |", flush=True)
    return figures


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--volt"), a.add_argument("--peers", required=True), a.add_argument("--python", default=sys.executable)
    a.add_argument("--rounds", type=int, default=3), a.add_argument("--repeat", type=int, default=3), a.add_argument("--only", default="")
    a.add_argument("--mpirun", help="launcher, such as 'mpirun.openmpi --bind-to core'"), a.add_argument("--json")
    a.add_argument("--net"), a.add_argument("--patch"), a.add_argument("--threads", type=int), a.add_argument("--port", type=int)
    a.add_argument("--worker", nargs=2, type=int, help=argparse.SUPPRESS)
    o = a.parse_args()
    o.peers = os.path.abspath(o.peers)
    if o.worker:
        return train(o, *o.worker)
    if not o.volt:
        a.error("--volt is required")
    o.volt = os.path.abspath(o.volt)
    if not os.path.exists(os.path.join(o.peers, "torch_unet.py")):
        print(f"skipped: {o.peers} has no torch_unet.py")
        return 77
    probe = subprocess.run([o.python, "-c", "import torch, dynamic_network_architectures as d; assert torch.distributed.is_gloo_available(); "
                            "print(torch.__version__)"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if probe.returncode:
        print(f"skipped: {o.python}: {probe.stderr.strip().splitlines()[-1]}")
        return 77
    print(f"{cpu_name()}, {len(os.sched_getaffinity(0))} cores, PyTorch {probe.stdout.strip()}; median of {o.rounds} alternating rounds, "
          f"batch {BATCH}, fp32\n")
    print("| work | | 1 rank x 1 thread | 1 rank x 2 threads | 2 ranks x 1 thread | efficiency | against 2 threads | waiting | than DDP |")
    print("|---|---|---|---|---|---|---|---|---|")
    work = [(o.net, o.patch)] if o.net and o.patch else [w for w in WORK if o.only in w[0]]
    results = []
    for net, patch in work:
        rounds = [round_of(o, net, patch) for _ in range(o.rounds)]
        results += table(f"{net} {patch.replace(',', ' x ')}", rounds)
    if not results:
        sys.exit(f"no network's name holds '{o.only}'")
    if o.json:
        with open(o.json, "w") as f:
            json.dump({"cpu": cpu_name(), "rounds": o.rounds, "results": results}, f, indent=1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
