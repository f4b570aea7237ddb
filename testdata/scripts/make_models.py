#!/usr/bin/env python3
"""Small nnU-Net v2 results folders of every kind, with nnU-Net's own predictions; MONAI's DynUNet.

usage: make_models.py OUT [NAME...]
OUT/models/NAME: model/ (plans.json, dataset.json, fold_K/checkpoint_final.pth: what
nnUNetPredictor.initialize_from_trained_model_folder opens), scan_0000.nii.gz ..., nnU-Net's mask without and with
mirroring (plain.nii.gz, mirror.nii.gz), and its softmax (plain.npz, mirror.npz, rounded to float16) from the same run
with the sums over tiles in float32: nnU-Net's float16 sums alone move it by up to 0.14 where a single tile covers a
corner of the scan with tiny weights (how much is printed). Each network is trained for a moment, so that masks have a
shape and classes few near-ties; models that are there already are kept.
OUT/models/dynunet: state dict, patch and logits of MONAI's DynUNet, its plan one of nnU-Net's.
OUT/models/monai_*: the same of networks whose plan names MONAI's class and its arguments.
Versions: nnunetv2 2.8.1, torch 2.13 (CPU, fp32), monai 1.6.1.
"""
import contextlib, json, os, sys, tempfile
os.environ.setdefault("nnUNet_compile", "f")
for key in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(key, tempfile.gettempdir())
import numpy as np
import SimpleITK as sitk
import torch
from scipy.ndimage import gaussian_filter

torch.set_num_threads(2)
LRELU = {"nonlin": "torch.nn.LeakyReLU", "nonlin_kwargs": {"inplace": True}}


def config(patch, spacing, norms, strides, kernels, median, features=(4, 8, 16), residual=False, masks=None):
    dim = len(patch)
    kwargs = {"n_stages": len(strides), "features_per_stage": list(features[:len(strides)]),
              "conv_op": f"torch.nn.modules.conv.Conv{dim}d", "kernel_sizes": kernels, "strides": strides,
              "n_conv_per_stage": [2] * len(strides), "n_conv_per_stage_decoder": [2] * (len(strides) - 1), "conv_bias": True,
              "norm_op": f"torch.nn.modules.instancenorm.InstanceNorm{dim}d", "norm_op_kwargs": {"eps": 1e-05, "affine": True},
              "dropout_op": None, "dropout_op_kwargs": None, **LRELU}
    name = "PlainConvUNet"
    if residual:
        name = "ResidualEncoderUNet"
        del kwargs["n_conv_per_stage"]
        kwargs["n_blocks_per_stage"] = [1, 2, 2][:len(strides)]
        kwargs["n_conv_per_stage_decoder"] = [1] * (len(strides) - 1)
    resample = {"order": 3, "order_z": 0, "force_separate_z": None}
    return {"data_identifier": "nnUNetPlans", "preprocessor_name": "DefaultPreprocessor", "batch_size": 2, "patch_size": list(patch),
            "median_image_size_in_voxels": [float(m) for m in median], "spacing": list(spacing), "normalization_schemes": norms,
            "use_mask_for_norm": masks or [False] * len(norms),
            "resampling_fn_data": "resample_data_or_seg_to_shape", "resampling_fn_data_kwargs": {"is_seg": False, **resample},
            "resampling_fn_seg": "resample_data_or_seg_to_shape",
            "resampling_fn_seg_kwargs": {"is_seg": True, **resample, "order": 1},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": {"is_seg": False, **resample, "order": 1},
            "architecture": {"network_class_name": f"dynamic_network_architectures.architectures.unet.{name}",
                             "arch_kwargs": kwargs, "_kw_requires_import": ["conv_op", "norm_op", "dropout_op", "nonlin"]},
            "batch_dice": False}


def cubes(stages, dim=3):
    return [[1] * dim] + [[2] * dim] * (stages - 1), [[3] * dim] * stages


LABELS = {"background": 0, "organ": 1, "lesion": 2}
Z, CT = "ZScoreNormalization", "CTNormalization"
S3, K3 = cubes(3)
S2, K2 = cubes(3, 2)
# name: (configuration's name, configuration, transpose_forward, scan shape z y x, spacing z y x, options)
CASES = {
    "resampled": ("3d_fullres", config((16, 16, 16), (1.2, 1.0, 1.1), [Z], S3, K3, (20, 24, 24)), [0, 1, 2], (17, 26, 20), (1.5, 0.9, 1.3), {}),
    "anisotropic": ("3d_fullres", config((8, 24, 24), (4.0, 1.0, 1.0), [Z], [[1, 1, 1], [1, 2, 2], [2, 2, 2]], [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
                                         (10, 30, 30)), [0, 1, 2], (9, 28, 31), (5.0, 1.1, 0.9), {}),
    "oblique": ("3d_fullres", config((16, 16, 16), (1.0, 1.0, 1.0), [Z], S3, K3, (20, 24, 24)), [0, 1, 2], (18, 20, 22), (1.0, 1.0, 1.0),
                {"oblique": True}),
    "transposed": ("3d_fullres", config((8, 24, 16), (3.0, 0.9, 1.2), [Z], [[1, 1, 1], [1, 2, 2], [2, 2, 2]], [[1, 3, 3], [3, 3, 3], [3, 3, 3]],
                                        (10, 26, 20)), [2, 0, 1], (40, 34, 20), (0.9, 1.2, 2.6), {}),
    "cropped": ("3d_fullres", config((16, 16, 16), (1.0, 1.1, 1.0), [Z, Z], S3, K3, (20, 24, 24), masks=[True, False]), [0, 1, 2], (24, 27, 25),
                (1.0, 1.0, 1.2), {"border": (3, 5, 4), "channels": 2}),
    "lowres": ("3d_lowres", config((16, 16, 16), (2.1, 1.9, 2.0), [CT], S3, K3, (20, 24, 24)), [0, 1, 2], (30, 28, 33), (1.0, 0.9, 1.1), {"ct": True}),
    "flat": ("2d", config((24, 32), (1.0, 1.0), [Z], S2, K2, (24, 30)), [0, 1, 2], (9, 27, 35), (3.0, 1.0, 0.9), {}),
    "residual": ("3d_fullres", config((16, 16, 16), (1.0, 1.0, 1.0), [Z], S3, K3, (20, 24, 24), residual=True), [0, 1, 2], (18, 24, 19),
                 (1.1, 1.0, 1.0), {"planner": "nnUNetPlannerResEncM"}),
    "regions": ("3d_fullres", config((16, 16, 16), (1.0, 1.0, 1.0), [Z], S3, K3, (20, 24, 24)), [0, 1, 2], (18, 20, 23), (1.0, 1.1, 1.0),
                {"regions": True}),
    "folds": ("3d_fullres", config((16, 16, 16), (1.0, 1.0, 1.0), [Z], S3, K3, (20, 24, 24)), [0, 1, 2], (17, 20, 18), (1.0, 1.0, 1.0), {"folds": 2}),
}


def scan(shape, options, seed):
    """A body with an organ and lesions in it, in arbitrary units; borders of zeros where asked."""
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    organ = (z / 0.7) ** 2 + (y / 0.75) ** 2 + (x / 0.6) ** 2 + 0.5 * gaussian_filter(rng.normal(0, 1, shape), 3) * 6 < 1
    spots = gaussian_filter(rng.normal(0, 1, shape), [max(1.2, n / 12) for n in shape])
    lesion = organ & (spots > np.quantile(spots[organ], 0.8))
    labels = organ.astype(np.uint8) + lesion
    channels = []
    for c in range(options.get("channels", 1)):
        image = 100 + 30 * y + np.where(organ, 90 - 150 * c, 0) + np.where(lesion, 110, 0) + rng.normal(0, 12, shape)
        b = options.get("border")
        if b:
            inside = np.zeros(shape, bool)
            inside[b[0]:-b[0], b[1]:-b[1] - 1, b[2]:] = True
            image = image * inside
            labels = labels * inside
        channels.append(image.astype(np.float32))
    return channels, labels


def save_scan(path, array, spacing, options):
    image = sitk.GetImageFromArray(array)
    image.SetSpacing([float(s) for s in spacing[::-1]])
    image.SetOrigin([12.5, -30.25, 7.0])
    if options.get("oblique"):
        a, b = 0.3, -0.2
        turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]]) @ \
            np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]]) @ np.diag([-1, 1, -1])
        image.SetDirection(turn.flatten().tolist())
    sitk.WriteImage(image, path)


def train(network, data, seg, patch, regions):
    """A moment of Adam on random patches of the preprocessed case."""
    rng = np.random.default_rng(1)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    pad = [max(0, p - n) for p, n in zip(patch, data.shape[-len(patch):])]
    width = [(0, 0)] * (data.ndim - len(patch)) + [(p // 2, p - p // 2) for p in pad]
    data, seg = np.pad(data, width), np.pad(np.maximum(seg, 0), width)
    network.train()
    for _ in range(90):
        xs, ys = [], []
        for _ in range(2):
            start = [int(rng.integers(0, n - p + 1)) for p, n in zip(patch, data.shape[-len(patch):])]
            cut = tuple(slice(s, s + p) for s, p in zip(start, patch))
            cut = (slice(None),) + ((int(rng.integers(data.shape[1])),) if len(patch) == 2 else ()) + cut
            xs.append(data[cut])
            ys.append(seg[cut][0])
        x, y = torch.from_numpy(np.stack(xs)), torch.from_numpy(np.stack(ys)).long()
        for axis in range(2, x.ndim):  # so that mirrored passes agree
            if rng.random() < 0.5:
                x, y = x.flip(axis), y.flip(axis - 1)
        out = network(x)
        out = out[0] if isinstance(out, (list, tuple)) else out
        if regions:
            target = torch.stack([(y >= 1), (y == 2)], 1).float()
            loss = torch.nn.functional.binary_cross_entropy_with_logits(out, target)
        else:
            loss = torch.nn.functional.cross_entropy(out, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    return float(loss)


def make_case(out, name):
    from nnunetv2.inference.export_prediction import export_prediction_from_logits
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    config_name, cfg, order, shape, spacing, options = CASES[name]
    seed = 100 + list(CASES).index(name)
    torch.manual_seed(seed)
    folder = os.path.join(out, "models", name)
    model = os.path.join(folder, "model")
    os.makedirs(model, exist_ok=True)
    channels, labels = scan(shape, options, seed)
    files = [os.path.join(folder, f"scan_{c:04d}.nii.gz") for c in range(len(channels))]
    for file, array in zip(files, channels):
        save_scan(file, array, spacing, options)
    truth = os.path.join(tempfile.mkdtemp(), "truth.nii.gz")
    save_scan(truth, labels, spacing, options)

    dataset = {"channel_names": {str(c): "CT" if options.get("ct") else f"MR{c}" for c in range(len(channels))}, "labels": dict(LABELS),
               "numTraining": 1, "file_ending": ".nii.gz"}
    if options.get("regions"):
        dataset["labels"] = {"background": 0, "whole": [1, 2], "lesion": 2}
        dataset["regions_class_order"] = [1, 2]
    values = channels[0][labels > 0]
    intensities = {"max": float(values.max()), "mean": float(values.mean()), "median": float(np.median(values)), "min": float(values.min()),
                   "percentile_00_5": float(np.percentile(values, 0.5)), "percentile_99_5": float(np.percentile(values, 99.5)),
                   "std": float(values.std())}
    plans = {"dataset_name": f"Dataset900_{name}", "plans_name": "nnUNetPlans",
             "original_median_spacing_after_transp": [float(spacing[a]) for a in order],
             "original_median_shape_after_transp": [int(shape[a]) for a in order], "image_reader_writer": "SimpleITKIO",
             "transpose_forward": order, "transpose_backward": [order.index(a) for a in range(3)], "configurations": {config_name: cfg},
             "experiment_planner_used": options.get("planner", "ExperimentPlanner"), "label_manager": "LabelManager",
             "foreground_intensity_properties_per_channel": {str(c): intensities for c in range(len(channels))}}
    for what, text in (("plans", plans), ("dataset", dataset)):
        with open(os.path.join(model, what + ".json"), "w") as f:
            json.dump(text, f, indent=4)
    manager = PlansManager(plans)
    configuration = manager.get_configuration(config_name)
    data, seg, properties = configuration.preprocessor_class(verbose=False).run_case(files, truth, manager, configuration, dataset)
    data, seg = np.asarray(data, np.float32), np.asarray(seg)
    heads = manager.get_label_manager(dataset).num_segmentation_heads
    axes = tuple(range(len(cfg["patch_size"])))
    for fold in range(options.get("folds", 1)):
        if os.path.exists(os.path.join(model, f"fold_{fold}", "checkpoint_final.pth")):
            continue
        network = nnUNetTrainer.build_network_architecture(manager, configuration, len(channels), heads, enable_deep_supervision=True)
        loss = train(network, data, seg, cfg["patch_size"], bool(options.get("regions")))
        os.makedirs(os.path.join(model, f"fold_{fold}"), exist_ok=True)
        torch.save({"network_weights": network.state_dict(), "optimizer_state": None, "grad_scaler_state": None,
                    "logging": {"mean_fg_dice": [np.float32(0.5)]}, "_best_ema": np.float32(0.5), "current_epoch": 1,
                    "init_args": {"plans": plans, "configuration": config_name, "fold": fold, "dataset_json": dataset,
                                  "device": torch.device("cpu")},
                    "trainer_name": "nnUNetTrainer", "inference_allowed_mirroring_axes": axes},
                   os.path.join(model, f"fold_{fold}", "checkpoint_final.pth"))
        print(f"{name} fold {fold}: loss {loss:.3f}, prepared {data.shape}")
    for mirror in (False, True):
        base = os.path.join(folder, "mirror" if mirror else "plain")
        softmax = []
        for exact in (False, True):
            predictor = nnUNetPredictor(use_mirroring=mirror, perform_everything_on_device=False, device=torch.device("cpu"), verbose=False,
                                        allow_tqdm=False)
            predictor.initialize_from_trained_model_folder(model, tuple(range(options.get("folds", 1))))
            data, _, properties = configuration.preprocessor_class(verbose=False).run_case(files, None, manager, configuration, dataset)
            with float32_sums() if exact else contextlib.nullcontext():
                logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(np.asarray(data, np.float32)))
            written = os.path.join(tempfile.mkdtemp(), "exact") if exact else base
            export_prediction_from_logits(logits, properties, configuration, manager, dataset, written, save_probabilities=True)
            softmax.append(np.load(written + ".npz")["probabilities"])
        os.remove(base + ".pkl")
        np.savez_compressed(base + ".npz", probabilities=softmax[1].astype(np.float16))
        mask = sitk.GetArrayFromImage(sitk.ReadImage(base + ".nii.gz"))
        print(name, "mirror" if mirror else "plain", "voxels", np.bincount(mask.ravel()).tolist(),
              f"float16 sums move the softmax by up to {np.abs(softmax[0] - softmax[1]).max():.2g}", flush=True)


@contextlib.contextmanager
def float32_sums():
    """nnU-Net's prediction with its sums over tiles in float32; the Gaussian keeps its float16 values."""
    import nnunetv2.inference.predict_from_raw_data as module
    half, gaussian = torch.half, module.compute_gaussian
    wide = lambda *a, **k: gaussian(*a, **k).float()
    wide.cache_clear = gaussian.cache_clear
    torch.half, module.compute_gaussian = torch.float32, wide
    try:
        yield
    finally:
        torch.half, module.compute_gaussian = half, gaussian


def write_network(folder, network, x, cfg, dataset_name):
    """State dict, a patch with the network's logits, plan and data set."""
    from safetensors.torch import save_file

    os.makedirs(folder, exist_ok=True)
    with torch.no_grad():
        y = network.eval()(x)
    as_5d = lambda t: t if t.ndim == 5 else t.unsqueeze(2)
    torch.save({"epoch": 3, "state_dict": network.state_dict()}, os.path.join(folder, "weights.pt"))
    save_file({"x": as_5d(x).contiguous(), "logits": as_5d(y).contiguous()}, os.path.join(folder, "network.safetensors"))
    shape = [1] * (5 - x.ndim) + list(x.shape[2:])
    plans = {"dataset_name": dataset_name, "plans_name": "nnUNetPlans", "original_median_spacing_after_transp": [1.0] * 3,
             "original_median_shape_after_transp": shape, "image_reader_writer": "SimpleITKIO", "transpose_forward": [0, 1, 2],
             "transpose_backward": [0, 1, 2], "configurations": {"3d_fullres" if x.ndim == 5 else "2d": cfg},
             "experiment_planner_used": "ExperimentPlanner", "label_manager": "LabelManager",
             "foreground_intensity_properties_per_channel": {c: dict(max=1.0, mean=0.0, median=0.0, min=-1.0, percentile_00_5=-1.0,
                                                                     percentile_99_5=1.0, std=1.0) for c in "01"[:x.shape[1]]}}
    dataset = {"channel_names": {"0": "T1", "1": "T2"}, "labels": dict(LABELS), "numTraining": 1, "file_ending": ".nii.gz"}
    if x.shape[1] == 1:
        del dataset["channel_names"]["1"]
    for what, text in (("plans", plans), ("dataset", dataset)):
        with open(os.path.join(folder, what + ".json"), "w") as f:
            json.dump(text, f, indent=4)


def make_dynunet(out):
    from monai.networks.nets import DynUNet

    torch.manual_seed(5)
    strides, kernels = [[1, 1, 1], [1, 2, 2], [2, 2, 2]], [[3, 3, 3]] * 3
    network = DynUNet(3, 2, 3, kernels, strides, strides[1:], filters=[4, 8, 16], deep_supervision=True, deep_supr_num=1).eval()
    for p in network.parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, 0.5, 0.5)
    folder = os.path.join(out, "models", "dynunet")
    write_network(folder, network, torch.randn(1, 2, 8, 16, 16), config((8, 16, 16), (1.0, 1.0, 1.0), [Z, Z], strides, kernels, (8, 16, 16)),
                  "Dataset901_dynunet")
    os.replace(os.path.join(folder, "weights.pt"), os.path.join(folder, "dynunet.pt"))


# name: (class, patch, channels in, constructor's arguments)
MONAI = {
    # batch norms with statistics, residual units, biases absent: what bundles of MONAI's model zoo look like
    "monai_batch": ("UNet", (8, 12, 16), 2, dict(channels=[4, 6, 8], strides=[2, 2], num_res_units=2, norm="BATCH", bias=False, dropout=0.1)),
    "monai_2d": ("UNet", (16, 24), 1, dict(channels=[4, 6, 8, 10], strides=[2, [2, 1], 2], kernel_size=[3, 5], act=["LEAKYRELU", {"negative_slope": 0.1}],
                                           norm=["INSTANCE", {"affine": True}])),
    "monai_dynunet": ("DynUNet", (8, 12, 12), 2, dict(kernel_size=[[1, 3, 3], [3, 3, 3], [3, 3, 3]], strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2]],
                                                      upsample_kernel_size=[[1, 2, 2], [2, 2, 2]], filters=[4, 6, 8], deep_supervision=True)),
}


def make_monai(out, name):
    from monai.networks import nets

    kind, patch, channels, kwargs = MONAI[name]
    torch.manual_seed(40 + list(MONAI).index(name))
    kwargs = {"spatial_dims": len(patch), "in_channels": channels, "out_channels": 3, **kwargs}
    network = getattr(nets, kind)(**kwargs)
    for p in network.parameters():
        if p.ndim == 1:
            torch.nn.init.normal_(p, 0.3, 0.3)
    network.train()
    with torch.no_grad():
        for _ in range(3):  # statistics of batch norms
            network(2 * torch.randn(2, channels, *patch) + 0.5)
    cfg = config(patch, (1.0,) * len(patch), [Z] * channels, [], [], patch)
    cfg["architecture"] = {"network_class_name": f"monai.networks.nets.{kind}", "arch_kwargs": kwargs, "_kw_requires_import": []}
    write_network(os.path.join(out, "models", name), network, torch.randn(1, channels, *patch), cfg, "Dataset902_monai")


def main():
    out, names = sys.argv[1], sys.argv[2:] or [*CASES, "dynunet", *MONAI]
    for name in names:
        make_dynunet(out) if name == "dynunet" else make_monai(out, name) if name in MONAI else make_case(out, name)


if __name__ == "__main__":
    main()
