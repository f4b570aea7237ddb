#!/usr/bin/env python3
"""Time volt and its peers on the same work, alternating on one machine, and print a Markdown table of medians.

usage: peers.py --volt build/volt --peers DIR --python PYTHON [--image CT.nii.gz --labels LIVER.nii.gz]
                [--rounds 3] [--threads 2] [--only TEXT] [--json FILE]
DIR holds torch_unet.py, engines_unet.py and volume_ops.py; PYTHON has the libraries they import. A round runs every
program of a row once, each in a process of its own; the table gives the median over the rounds of what each prints
(seconds, and the process's peak memory). Nothing else may run on the machine meanwhile.
"""
import argparse, json, os, platform, statistics, subprocess, sys


def rows(o):
    """(row, [(column, command, filter of its JSON lines)])"""
    torch, engine, ops = (os.path.join(o.peers, f) for f in ("torch_unet.py", "engines_unet.py", "volume_ops.py"))

    def net(name, mode, dtype, batch):
        common = ["--net", name, "--mode", mode, "--batch", str(batch), "--repeat", "1", "--threads", str(o.threads)]
        row = [("volt", [o.volt, "bench", "net", *common, "--precision", dtype, "--json"], {}),
               ("PyTorch", [o.python, torch, *common, "--dtype", dtype], {})]
        if mode == "infer":
            row.append(("OpenVINO", [o.python, engine, "--net", name, "--dtype", dtype, "--repeat", "2", "--threads", str(o.threads)], {}))
        return f"{name} {mode} {dtype}, batch {batch}", row
    for dtype in ("fp32", "bf16"):
        yield net("brats", "infer", dtype, 1)
        yield net("brats", "train", dtype, 1)
        yield net("hippocampus", "train", dtype, 9)
        yield net("hippocampus", "infer", dtype, 1)
    if not o.image:
        return

    def voxels(op, peers, volt):
        files = [o.image] + ([o.labels] if o.labels else [])
        peer = [o.python, ops, *files, "--repeat", "1", "--threads", str(o.threads), "--only", op]
        return op, [("volt", volt, {"op": op})] + [(p, peer, {"op": op, "peer": p}) for p in peers]
    io = [o.volt, "bench", "io", o.image, "--repeat", "1", "--threads", str(o.threads), "--json"]
    yield voxels("read", ["nibabel", "SimpleITK"], io)
    yield voxels("write_gz", ["nibabel", "SimpleITK"], io)
    for op, peers in (("resample_cubic", ["skimage", "SimpleITK"]), ("components", ["cc3d", "SimpleITK"]),
                      ("distance", ["scipy", "SimpleITK"]), ("hd95", ["MONAI"])):
        yield voxels(op, peers, [o.volt, "bench", "volume", o.image, *([o.labels] if o.labels else []), "--only", op,
                                 "--repeat", "1", "--threads", str(o.threads), "--json"])


def run(command, wanted, cache):
    """Seconds and MiB that `command` printed for the wanted case; one process a round serves all columns it measures."""
    key = tuple(command)
    if key not in cache:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-2000:]}")
        cache[key] = done.stdout
    found = []
    for line in cache[key].splitlines():
        if line.startswith("{"):
            d = json.loads(line)
            found += d["cases"] if "cases" in d else [d]
    for d in found:
        if "median_s" in d and all(str(d.get(k, "")).startswith(v) for k, v in wanted.items()):
            return d["median_s"], d.get("peak_mib")
    sys.exit(f"{' '.join(command)} printed nothing about {wanted}")


def cpu_name():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return names[0] if names else platform.processor()


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--volt", required=True), a.add_argument("--peers", required=True), a.add_argument("--python", default=sys.executable)
    a.add_argument("--image"), a.add_argument("--labels"), a.add_argument("--rounds", type=int, default=3), a.add_argument("--threads", type=int, default=2)
    a.add_argument("--only", default=""), a.add_argument("--json")
    o = a.parse_args()
    o.volt = os.path.abspath(o.volt)
    results = []
    print(f"{cpu_name()}, {o.threads} threads; median of {o.rounds} alternating rounds\n")
    print("| work | volt | peer | volt is |\n|---|---|---|---|")
    for name, columns in rows(o):
        if o.only not in name:
            continue
        seen = {c[0]: [] for c in columns}
        for _ in range(o.rounds):
            cache = {}
            for column, command, wanted in columns:
                seen[column].append(run(command, wanted, cache))
        median = {c: (statistics.median(s for s, _ in v), statistics.median(m or 0 for _, m in v)) for c, v in seen.items()}
        results.append({"work": name, "rounds": o.rounds, "threads": o.threads, "columns": seen})
        ours = median.pop("volt")
        for column, (seconds, mib) in median.items():
            print(f"| {name} | {ours[0]:.3g} s, {ours[1]:.0f} MiB | {column} {seconds:.3g} s, {mib:.0f} MiB | "
                  f"{seconds / ours[0]:.2f} x faster, {ours[1] / mib:.2f} x the memory |", flush=True)
    if not results:
        sys.exit(f"no row's name holds '{o.only}'")
    if o.json:
        with open(o.json, "w") as f:
            json.dump({"cpu": cpu_name(), "results": results}, f, indent=1)


if __name__ == "__main__":
    main()
