#!/usr/bin/env python3
"""The same training by volt and by nnU-Net itself: hippocampus, nnU-Net's recipe, plan, patch, batch and fold 0.

usage: train_nnunet.py --volt build/volt --peer nnunet_hippocampus.py --data Task04_Hippocampus --work DIR
                       [--python PYTHON] [--epochs 12] [--iterations 50] [--validation 5] [--precision auto]
PYTHON has nnunetv2. volt goes first, nnU-Net after it, each alone; what lies finished in DIR is not done again.
Prints the Dice of each class over the 39 cases left out, without and with mirroring, and what each took; DIR/rows.json
holds the same. Both learn from the same cases for as many iterations; the random numbers are each one's own.
"""
import argparse, json, os, re, statistics, subprocess, sys, time


def volt(o, *words):
    subprocess.run([o.volt, *words], stdout=subprocess.DEVNULL, check=True)


def dice(o, masks, name):
    summary = os.path.join(o.work, f"volt-{name}.json")
    volt(o, "evaluate", masks, os.path.join(o.data, "labelsTr"), "--no-surface", "-o", summary)
    with open(summary) as f:
        return {k: v["Dice"] for k, v in json.load(f)["mean"].items()}


def ours(o):
    work, run, row = os.path.join(o.work, "volt-work"), os.path.join(o.work, "volt", "fold_0"), os.path.join(o.work, "volt.json")
    if os.path.exists(row):
        return json.load(open(row))
    volt(o, "preprocess", o.data, "--work", work)
    start = time.perf_counter()
    volt(o, "train", o.data, "-o", run, "--work", work, "--epochs", str(o.epochs), "--iterations", str(o.iterations),
         "--validation", str(o.validation), "--precision", o.precision, "--threads", "2")
    r = {"train_s": time.perf_counter() - start}
    with open(os.path.join(run, "log.jsonl")) as f:
        r["epoch_s"] = [e["seconds"] for e in map(json.loads, f) if "epoch" in e and "seconds" in e]
    for name, extra in (("plain", ["--no-mirror"]), ("mirrored", [])):
        start = time.perf_counter()
        volt(o, "predict", os.path.dirname(run), "--validation", o.data, "--work", work, *extra)
        r[name] = {"predict_s": time.perf_counter() - start, "dice": dice(o, os.path.join(run, "validation"), name)}
    json.dump(r, open(row, "w"), indent=1)
    return r


def theirs(o):
    log = os.path.join(o.work, "nnunet.log")
    if not os.path.exists(log) or open(log).read().count('"evaluate"') < 2:
        with open(log, "w") as f:
            subprocess.run([o.python, o.peer, o.data, os.path.join(o.work, "nnunet"), "--epochs", str(o.epochs), "--iterations", str(o.iterations),
                            "--val-iterations", str(o.validation)], check=True, stdout=f, stderr=subprocess.STDOUT)
    text = open(log).read()
    steps = [json.loads(line) for line in text.splitlines() if line.startswith('{"step"')]
    train = next(s for s in steps if s["step"] == "train")
    r = {"train_s": train["seconds"], "epoch_s": [float(s) for s in re.findall(r"Epoch time: ([0-9.]+) s", text)], "batch": train["batch"]}
    for name, p, e in zip(("plain", "mirrored"), (s for s in steps if s["step"] == "predict"), (s for s in steps if s["step"] == "evaluate")):
        r[name] = {"predict_s": p["seconds"], "dice": e["dice"]}
    return r


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for k in ("volt", "peer", "data", "work"):
        a.add_argument("--" + k, required=True, type=os.path.abspath)
    a.add_argument("--python", default=sys.executable), a.add_argument("--precision", default="auto")
    a.add_argument("--epochs", type=int, default=12), a.add_argument("--iterations", type=int, default=50), a.add_argument("--validation", type=int, default=5)
    o = a.parse_args()
    os.makedirs(o.work, exist_ok=True)
    rows = {"volt": ours(o), "nnU-Net": theirs(o)}
    v, n = rows["volt"], rows["nnU-Net"]
    middle = {k: statistics.median(r["epoch_s"]) for k, r in rows.items()}
    lines = [f"{o.epochs} epochs of {o.iterations} iterations and {o.validation} of validation, batches of {n['batch']}", "", "| | volt | nnU-Net |", "|---|---|---|",
             f"| training | {v['train_s']:.0f} s | {n['train_s']:.0f} s |", f"| an epoch, median | {middle['volt']:.1f} s | {middle['nnU-Net']:.1f} s |"]
    for name in ("plain", "mirrored"):
        lines += [f"| Dice {k}, {name} | {v[name]['dice'][k]:.4f} | {n[name]['dice'][k]:.4f} |" for k in sorted(n[name]["dice"])]
        lines += [f"| prediction, {name} | {v[name]['predict_s']:.1f} s | {n[name]['predict_s']:.1f} s |"]
    print("\n".join(lines))
    with open(os.path.join(o.work, "rows.json"), "w") as f:
        json.dump(rows, f, indent=1)


if __name__ == "__main__":
    main()
