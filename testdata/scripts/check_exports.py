#!/usr/bin/env python3
"""Do nnU-Net, ONNX Runtime and OpenVINO take what volt exported, and compute the same?

usage: check_exports.py FOLDER MODEL.onnx ORIGINAL SCAN MASK
FOLDER: volt export model --format nnunet; MODEL.onnx: --format onnx; ORIGINAL: nnU-Net's own folder that the run was
imported from; SCAN: NIfTI of one channel; MASK: nnU-Net's mask of it without mirroring. Prints a line per check and ends
with 1 where one fails; ends with 77 where a library is missing.
"""
import os, sys, tempfile
for key in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
    os.environ.setdefault(key, tempfile.gettempdir())
try:
    import numpy as np
    import onnx
    import onnxruntime
    import openvino
    import SimpleITK as sitk
    import torch
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)


def predictor_of(folder):
    p = nnUNetPredictor(use_mirroring=False, perform_everything_on_device=False, device=torch.device("cpu"), allow_tqdm=False)
    p.initialize_from_trained_model_folder(folder, (0,))  # loads strictly
    return p


def mask_of(p, scan):
    image = sitk.ReadImage(scan)
    array = sitk.GetArrayFromImage(image)[None].astype(np.float32)
    return p.predict_single_npy_array(array, {"spacing": list(image.GetSpacing())[::-1]}, None, None, False)


def main():
    folder, model, original, scan, mask = sys.argv[1:]
    good = True

    def check(what, holds, detail=""):
        nonlocal good
        good = good and bool(holds)
        print(f"{'ok' if holds else 'FAIL'}: {what} {detail}")
    ours, theirs = predictor_of(folder), predictor_of(original)
    a, b = ours.network.state_dict(), theirs.network.state_dict()
    check("the same keys", list(a) == list(b), f"{len(a)}")
    check("the same weights", all(torch.equal(a[k], b[k]) for k in b))
    keys = [torch.load(os.path.join(f, "fold_0", "checkpoint_final.pth"), weights_only=False)["network_weights"] for f in (folder, original)]
    check("every alias key", set(keys[0]) == set(keys[1]) and len({t.data_ptr() for t in keys[0].values()}) ==
          len({t.data_ptr() for t in keys[1].values()}), f"{len(keys[0])}")
    want = sitk.GetArrayFromImage(sitk.ReadImage(mask))
    check("the same mask", np.array_equal(np.asarray(mask_of(ours, scan)).reshape(want.shape), want))

    onnx.checker.check_model(onnx.load(model), full_check=True)
    patch = ours.configuration_manager.patch_size
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    theirs.network.eval()
    for batch in (1, 3):
        x = torch.randn(batch, session.get_inputs()[0].shape[1], *patch, generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            y = theirs.network(x).numpy()
        for name, got in (("ONNX Runtime", session.run(None, {"image": x.numpy()})[0]), ("OpenVINO", compiled({"image": x.numpy()})["logits"])):
            off = float(np.abs(got - y).max())
            check(f"{name}, batch {batch}", got.shape == y.shape and off <= 1e-4 * max(1.0, float(np.abs(y).max())), f"{off:.2g}")
    return 0 if good else 1


sys.exit(main())
