#!/usr/bin/env python3
"""Time `volt preprocess` and nnU-Net's own preprocessing of the same data set and plan, alternating on the same cores.

usage: preprocess.py --volt build/volt DATASET WORK [--rounds 3] [--cores 2] [--configuration 3d_fullres]

DATASET is a folder in nnU-Net's raw layout (dataset.json, imagesTr, labelsTr); run with the Python that has nnunetv2.
Both sides use the plan that nnU-Net makes, `--cores` cores (nnU-Net: so many worker processes of one thread) and write
their results. What is timed: preprocessing alone, from files to files; nnU-Net's imports are not counted. Fails unless
VOLT is at least 3 times as fast (--least).
"""
import argparse, json, os, shutil, statistics, subprocess, sys, time


def options():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("dataset"), a.add_argument("work")
    a.add_argument("--volt", required=True), a.add_argument("--rounds", type=int, default=3)
    a.add_argument("--cores", type=int, default=2), a.add_argument("--configuration", default="3d_fullres")
    a.add_argument("--least", type=float, default=3.0)
    return a.parse_args()


def main():
    o = options()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:o.cores])
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    for folder in ("raw", "preprocessed", "results"):
        os.environ["nnUNet_" + folder] = os.path.join(o.work, "nnunet_" + folder)
        os.makedirs(os.environ["nnUNet_" + folder], exist_ok=True)
    set_name = "Dataset901_Bench"
    link = os.path.join(os.environ["nnUNet_raw"], set_name)
    if not os.path.exists(link):
        os.symlink(os.path.abspath(o.dataset), link)
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprints, plan_experiments
    from nnunetv2.preprocessing.preprocessors.default_preprocessor import DefaultPreprocessor
    extract_fingerprints([901], num_processes=o.cores)
    plan_experiments([901])
    made = os.path.join(os.environ["nnUNet_preprocessed"], set_name)
    volt_work = os.path.join(o.work, "volt")
    os.makedirs(volt_work, exist_ok=True)
    shutil.copy(os.path.join(made, "nnUNetPlans.json"), os.path.join(volt_work, "plans.json"))
    shutil.copy(os.path.join(made, "dataset_fingerprint.json"), volt_work)
    seconds = {"volt": [], "nnunet": []}
    for _ in range(o.rounds):
        begin = time.perf_counter()
        subprocess.run([o.volt, "preprocess", o.dataset, "--work", volt_work, "-c", o.configuration, "--overwrite",
                        "--threads", str(o.cores), "-q"], check=True, stdout=subprocess.DEVNULL)
        seconds["volt"].append(time.perf_counter() - begin)
        p = DefaultPreprocessor(verbose=False)
        p.show_progress_bar = False
        begin = time.perf_counter()
        p.run(901, o.configuration, "nnUNetPlans", num_processes=o.cores)
        seconds["nnunet"].append(time.perf_counter() - begin)
    median = {k: statistics.median(v) for k, v in seconds.items()}
    ratio = median["nnunet"] / median["volt"]
    print(json.dumps({"configuration": o.configuration, "cores": o.cores, "seconds": seconds, "median_s": median,
                      "ratio": ratio}))
    if ratio < o.least:
        sys.exit(f"VOLT is {ratio:.2f} times as fast, at least {o.least} was expected")


if __name__ == "__main__":
    main()
