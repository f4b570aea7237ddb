#!/usr/bin/env python3
"""Small cascades made and run by nnU-Net v2 itself: both networks, the masks that the second is trained on, predictions.

usage: make_cascade.py OUT [NAME...]
OUT/cascade/NAME:
  raw/            data set of two cases as nnU-Net takes it, and splits_final.json: fold 0 validates "scan"
  low/, fine/     results folders of 3d_lowres and 3d_cascade_fullres (plans.json, dataset.json, fold_0/checkpoint_final.pth)
  next_stage.nii.gz       what nnUNetTrainer.perform_actual_validation of 3d_lowres leaves of "scan" in predicted_next_stage:
                          labels on the grid of the prepared case (d h w)
  validation.nii.gz, .npz "scan" by perform_actual_validation of 3d_cascade_fullres, which reads that
  low_plain.nii.gz, low_mirror.nii.gz     nnUNetv2_predict of 3d_lowres
  plain.nii.gz, plain.npz, mirror.nii.gz, mirror.npz  nnUNetv2_predict -prev_stage_predictions, with the masks above
All sums over tiles are in float32 (see make_models.py, which says why); softmax is rounded to float16. Networks are trained
for a moment, so that masks have a shape; those that are there already are kept.
Versions: nnunetv2 2.8.1, batchgenerators 0.25.5, torch 2.13 (CPU, fp32).
"""
import json, os, shutil, sys, tempfile
ROOT = os.environ.setdefault("MAKE_CASCADE", tempfile.mkdtemp())  # the pools' processes see the same folders
for key in ("raw", "preprocessed", "results"):
    os.environ["nnUNet_" + key] = os.path.join(ROOT, key)
os.environ["nnUNet_def_n_proc"] = "1"
import blosc2
import numpy as np
import SimpleITK as sitk
import torch
from make_models import CT, LABELS, Z, config, cubes, float32_sums, save_scan, scan, train

S3, K3 = cubes(3)
# name: (transpose_forward, scan shape z y x, spacing z y x, low spacing, full spacing (both transposed), options)
CASES = {
    "turned": ([2, 0, 1], (34, 30, 26), (0.9, 1.1, 1.6), (2.9, 1.9, 2.1), (1.5, 1.0, 1.0), {"border": (3, 4, 2), "oblique": True}),
    "regions": ([0, 1, 2], (24, 30, 28), (1.3, 0.9, 1.0), (2.3, 2.0, 1.9), (1.2, 1.0, 1.0),
                {"border": (2, 3, 4), "channels": 2, "regions": True}),
}


def prepare(name, folder):
    """The data set, its plan, and nnU-Net's preprocessed cases of both configurations."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
    order, shape, spacing, low, full, options = CASES[name]
    channels = options.get("channels", 1)
    data_set = f"Dataset90{list(CASES).index(name) + 2}_{name}"
    raw, base = os.path.join(folder, "raw"), os.path.join(ROOT, "preprocessed", data_set)
    for path in ("imagesTr", "labelsTr"):
        os.makedirs(os.path.join(raw, path), exist_ok=True)
    os.makedirs(os.path.join(base, "gt_segmentations"), exist_ok=True)
    for i, case in enumerate(("other", "scan")):
        images, labels = scan(shape if i else tuple(n - 4 for n in shape), options, 300 + 10 * list(CASES).index(name) + i)
        for c, image in enumerate(images):
            save_scan(os.path.join(raw, "imagesTr", f"{case}_{c:04d}.nii.gz"), np.round(image).astype(np.int16), spacing, options)
        save_scan(os.path.join(raw, "labelsTr", case + ".nii.gz"), labels.astype(np.uint8), spacing, options)
        shutil.copy(os.path.join(raw, "labelsTr", case + ".nii.gz"), os.path.join(base, "gt_segmentations"))
    dataset = {"channel_names": {str(c): f"MR{c}" for c in range(channels)}, "labels": dict(LABELS), "numTraining": 2, "file_ending": ".nii.gz"}
    if options.get("regions"):
        dataset["labels"] = {"background": 0, "whole": [1, 2], "lesion": 2}
        dataset["regions_class_order"] = [1, 2]
    masks = [True] + [False] * (channels - 1)
    fine = {**config((16, 16, 16), full, [Z] * channels, S3, K3, (20, 24, 24), masks=masks), "data_identifier": "full"}
    coarse = {**config((8, 16, 8), low, [Z] * channels, S3, K3, (10, 12, 12), masks=masks), "data_identifier": "low",
              "next_stage": "3d_cascade_fullres"}
    stats = {"max": 300.0, "mean": 150.0, "median": 150.0, "min": 0.0, "percentile_00_5": 10.0, "percentile_99_5": 290.0, "std": 60.0}
    plans = {"dataset_name": data_set, "plans_name": "nnUNetPlans", "original_median_spacing_after_transp": [float(spacing[a]) for a in order],
             "original_median_shape_after_transp": [int(shape[a]) for a in order], "image_reader_writer": "SimpleITKIO",
             "transpose_forward": order, "transpose_backward": [order.index(a) for a in range(3)],
             "configurations": {"3d_fullres": fine, "3d_lowres": coarse,
                                "3d_cascade_fullres": {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}},
             "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
             "foreground_intensity_properties_per_channel": {str(c): stats for c in range(channels)}}
    splits = [{"train": ["other"], "val": ["scan"]}, {"train": ["scan"], "val": ["other"]}]
    for path, text in ((os.path.join(base, "splits_final.json"), splits), (os.path.join(raw, "splits_final.json"), splits),
                       (os.path.join(raw, "dataset.json"), dataset)):
        with open(path, "w") as f:
            json.dump(text, f, indent=1)
    manager = PlansManager(plans)
    for name_of in ("3d_lowres", "3d_fullres"):
        configuration = manager.get_configuration(name_of)
        os.makedirs(os.path.join(base, configuration.data_identifier), exist_ok=True)
        for case in ("other", "scan"):
            configuration.preprocessor_class(verbose=False).run_case_save(
                os.path.join(base, configuration.data_identifier, case),
                [os.path.join(raw, "imagesTr", f"{case}_{c:04d}.nii.gz") for c in range(channels)],
                os.path.join(raw, "labelsTr", case + ".nii.gz"), manager, configuration, dataset)
    return raw, plans, dataset


def stage(folder, plans, dataset, name, regions):
    """One network of the cascade, trained for a moment, and nnU-Net's own validation of it."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.label_handling.label_handling import convert_labelmap_to_one_hot
    trainer = nnUNetTrainer({**plans, "continue_training": False}, name, 0, dataset, torch.device("cpu"))
    trainer.initialize()
    trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    checkpoint = os.path.join(folder, "fold_0", "checkpoint_final.pth")
    if os.path.exists(checkpoint):
        trainer.network.load_state_dict(torch.load(checkpoint, weights_only=False)["network_weights"])
    else:
        cases = trainer.dataset_class(trainer.preprocessed_dataset_folder, ["scan"],
                                      folder_with_segs_from_previous_stage=trainer.folder_with_segs_from_previous_stage)
        data, seg, previous, _ = cases.load_case("scan")
        data, seg = np.asarray(data[:], np.float32), np.asarray(seg[:])
        if previous is not None:
            data = np.vstack((data, convert_labelmap_to_one_hot(previous[:], trainer.label_manager.foreground_labels, data.dtype)))
        for _ in range(4):
            loss = train(trainer.network, data, seg, trainer.configuration_manager.patch_size, regions)
        print(name, "loss", loss, "prepared", data.shape)
        os.makedirs(os.path.dirname(checkpoint), exist_ok=True)
        trainer.optimizer.state.clear()
        trainer.save_checkpoint(checkpoint)
        content = torch.load(checkpoint, weights_only=False)
        content["init_args"]["plans"] = plans
        content["optimizer_state"] = None
        torch.save(content, checkpoint)
        for what, text in (("plans", plans), ("dataset", dataset)):
            with open(os.path.join(folder, what + ".json"), "w") as f:
                json.dump(text, f, indent=1)
    with float32_sums():
        trainer.perform_actual_validation(save_probabilities=True)
    return trainer


def round_softmax(source, target):
    np.savez_compressed(target, probabilities=np.load(source)["probabilities"].astype(np.float16))


def predict(model, files, out, mirror, previous):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    predictor = nnUNetPredictor(use_mirroring=mirror, perform_everything_on_device=False, device=torch.device("cpu"), verbose=False,
                                allow_tqdm=False)
    predictor.initialize_from_trained_model_folder(model, (0,))
    with float32_sums():
        predictor.predict_from_files_sequential([files], out, save_probabilities=True, overwrite=True,
                                                folder_with_segs_from_prev_stage=previous)


def make_case(out, name):
    torch.manual_seed(400 + list(CASES).index(name))
    folder = os.path.join(out, "cascade", name)
    raw, plans, dataset = prepare(name, folder)
    channels, regions = len(dataset["channel_names"]), "regions_class_order" in dataset
    models = {"3d_lowres": os.path.join(folder, "low"), "3d_cascade_fullres": os.path.join(folder, "fine")}
    first = stage(models["3d_lowres"], plans, dataset, "3d_lowres", regions)
    next_stage = os.path.join(first.output_folder_base, "predicted_next_stage", "3d_cascade_fullres")
    stored = np.asarray(blosc2.open(urlpath=os.path.join(next_stage, "scan.b2nd"), mode="r")[:])
    sitk.WriteImage(sitk.GetImageFromArray(stored.astype(np.uint8)), os.path.join(folder, "next_stage.nii.gz"))
    second = stage(models["3d_cascade_fullres"], plans, dataset, "3d_cascade_fullres", regions)
    validation = os.path.join(second.output_folder, "validation", "scan")
    shutil.copy(validation + ".nii.gz", os.path.join(folder, "validation.nii.gz"))
    round_softmax(validation + ".npz", os.path.join(folder, "validation.npz"))
    files = [os.path.join(raw, "imagesTr", f"scan_{c:04d}.nii.gz") for c in range(channels)]
    for mirror in (False, True):
        kind, work = "mirror" if mirror else "plain", tempfile.mkdtemp()
        low, fine = os.path.join(work, "low"), os.path.join(work, "fine")
        os.makedirs(low)
        os.makedirs(fine)
        predict(models["3d_lowres"], files, low, mirror, None)
        predict(models["3d_cascade_fullres"], files, fine, mirror, low)
        shutil.copy(os.path.join(low, "scan.nii.gz"), os.path.join(folder, f"low_{kind}.nii.gz"))
        shutil.copy(os.path.join(fine, "scan.nii.gz"), os.path.join(folder, f"{kind}.nii.gz"))
        round_softmax(os.path.join(fine, "scan.npz"), os.path.join(folder, f"{kind}.npz"))
    for what in ("next_stage", "low_mirror", "mirror", "plain", "validation"):
        mask = sitk.GetArrayFromImage(sitk.ReadImage(os.path.join(folder, what + ".nii.gz")))
        print(name, what, mask.shape, np.bincount(mask.ravel()).tolist(), flush=True)


def main():
    out, names = sys.argv[1], sys.argv[2:] or CASES
    for name in names:
        make_case(out, name)
    shutil.rmtree(ROOT)


if __name__ == "__main__":
    main()
