#!/usr/bin/env python3
"""Time volt predict beside nnUNetv2_predict -device cpu: the same imported model, the same scans, alternating.

usage: predict_nnunet.py --volt build/volt --model RESULTS --scans CASE.nii.gz... --python PYTHON
                         [--rounds 3] [--threads 2] [--mirror] [--json FILE]
RESULTS is a results folder of nnU-Net v2 (plans.json, dataset.json, fold_0); PYTHON has nnunetv2; scans of one channel.
cold: one process for the first scan alone, start and loading included. warm: per scan, the time that further scans add
(all scans in one process, minus the process for one, over the scans more). Peak memory is that of the process (and, for
nnU-Net, of its largest worker). A ratio counts only when nothing else runs on the machine.
"""
import argparse, json, os, shutil, statistics, subprocess, sys, tempfile, time


def run(command, env):
    """Wall seconds and the peak resident MiB of the process tree's largest member."""
    start = time.perf_counter()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{' '.join(command)} failed")
    return time.perf_counter() - start, usage.ru_maxrss / 1024


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--volt", required=True), a.add_argument("--model", required=True), a.add_argument("--scans", nargs="+", required=True)
    a.add_argument("--python", default=sys.executable), a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--threads", type=int, default=2), a.add_argument("--mirror", action="store_true"), a.add_argument("--json")
    o = a.parse_args()
    if len(o.scans) < 2:
        sys.exit("two scans at least: what is warm is their difference")
    work = tempfile.mkdtemp(prefix="predict-")
    volt, model = os.path.abspath(o.volt), os.path.abspath(o.model)
    for folder, scans in (("one", o.scans[:1]), ("all", o.scans)):
        os.mkdir(os.path.join(work, folder))
        for s in scans:
            name = os.path.basename(s)[:-len(".nii.gz")]
            os.symlink(os.path.abspath(s), os.path.join(work, folder, f"{name}_0000.nii.gz"))
    env = dict(os.environ, OMP_NUM_THREADS=str(o.threads), nnUNet_compile="f", nnUNet_raw=work, nnUNet_preprocessed=work, nnUNet_results=work)
    subprocess.run([volt, "import", "model", model, os.path.join(work, "run"), "-q"], check=True, stdout=subprocess.DEVNULL)
    entry = "import sys; from nnunetv2.inference.predict_from_raw_data import predict_entry_point_modelfolder as p; p()"
    tools = {
        "volt": lambda n: [volt, "predict", os.path.join(work, "run"), os.path.join(work, n), "-o", os.path.join(work, "out"), "-q",
                           "--threads", str(o.threads)] + ([] if o.mirror else ["--no-mirror"]),
        "nnU-Net": lambda n: [os.path.abspath(o.python), "-c", entry, "-i", os.path.join(work, n), "-o", os.path.join(work, "out"), "-m", model,
                              "-f", "0", "-device", "cpu"] + ([] if o.mirror else ["--disable_tta"]),
    }
    seen = {t: {"one": [], "all": []} for t in tools}
    for _ in range(o.rounds):
        for tool, command in tools.items():
            for n in ("one", "all"):
                shutil.rmtree(os.path.join(work, "out"), ignore_errors=True)
                seen[tool][n].append(run(command(n), env))
    shutil.rmtree(work)
    rows = {}
    for tool, times in seen.items():
        one, every = (statistics.median(s for s, _ in times[n]) for n in ("one", "all"))
        rows[tool] = {"cold_s": one, "warm_s": (every - one) / (len(o.scans) - 1), "peak_mib": max(m for n in times for _, m in times[n])}
    ours, theirs = rows["volt"], rows["nnU-Net"]
    lines = [f"{o.threads} threads, {'with' if o.mirror else 'without'} mirroring, {len(o.scans)} scans, median of {o.rounds} alternating rounds",
             "", "| | volt | nnU-Net | volt is |", "|---|---|---|---|",
             f"| one scan, cold | {ours['cold_s']:.3f} s | {theirs['cold_s']:.2f} s | {theirs['cold_s'] / ours['cold_s']:.1f} x faster |",
             f"| each further scan | {ours['warm_s']:.3f} s | {theirs['warm_s']:.2f} s | {theirs['warm_s'] / ours['warm_s']:.1f} x faster |",
             f"| peak memory | {ours['peak_mib']:.0f} MiB | {theirs['peak_mib']:.0f} MiB | {ours['peak_mib'] / theirs['peak_mib']:.2f} x the memory |"]
    print("\n".join(lines))
    if o.json:
        with open(o.json, "w") as f:
            json.dump({"rows": rows, "seconds": seen}, f, indent=1)


if __name__ == "__main__":
    main()
