#!/usr/bin/env python3
"""Do ONNX Runtime and OpenVINO compute what PyTorch does from the same run's weights?

usage: check_onnx.py MODEL.onnx MODEL.safetensors
MODEL.onnx, MODEL.safetensors: volt export model --format onnx, safetensors. The network is built by its own class
(nnU-Net's or MONAI's) from the plan in the safetensors' metadata. Prints a line per check and ends with 1 where one
fails; ends with 77 where a library is missing.
"""
import json, pydoc, sys
try:
    import numpy as np
    import onnx
    import onnxruntime
    import openvino
    import torch
    import dynamic_network_architectures.architectures.unet
    import monai.networks.nets
    from safetensors import safe_open
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)


def resolved(plans, name):
    c = plans["configurations"][name]
    parent = c.get("inherits_from")
    return {**resolved(plans, parent), **c} if parent else c


def network_of(path, channels_in, channels_out):
    with safe_open(path, "pt") as f:
        meta, weights = f.metadata(), {k: f.get_tensor(k) for k in f.keys()}
    config = resolved(json.loads(meta["plans"]), meta["configuration"])
    arch = config["architecture"]
    kwargs = dict(arch["arch_kwargs"])
    for key in arch["_kw_requires_import"]:
        kwargs[key] = kwargs[key] and pydoc.locate(kwargs[key])
    cls = pydoc.locate(arch["network_class_name"])
    if arch["network_class_name"].startswith("monai."):
        net = cls(**kwargs)
    else:
        net = cls(input_channels=channels_in, num_classes=channels_out, deep_supervision=False, **kwargs)
    left = net.load_state_dict(weights, strict=False)  # PyTorch repeats tensors under further names
    filled = {p.data_ptr() for k, p in net.state_dict().items() if k in weights}
    missing = [k for k, p in net.state_dict().items() if p.data_ptr() not in filled]
    assert not left.unexpected_keys and not missing, (left.unexpected_keys, missing)
    return net.eval(), config


def main():
    model, weights = sys.argv[1:]
    onnx.checker.check_model(onnx.load(model), full_check=True)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    compiled = openvino.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    image, logits = session.get_inputs()[0], session.get_outputs()[0]
    net, config = network_of(weights, image.shape[1], logits.shape[1])
    good = image.shape[2:] == list(config["patch_size"])
    for batch in (1, 2):
        x = torch.randn(batch, *image.shape[1:], generator=torch.Generator().manual_seed(batch))
        with torch.no_grad():
            y = net(x).numpy()
        for name, got in (("ONNX Runtime", session.run(None, {"image": x.numpy()})[0]), ("OpenVINO", compiled({"image": x.numpy()})["logits"])):
            off = float(np.abs(got - y).max())
            holds = got.shape == y.shape and off <= 1e-4 * max(1.0, float(np.abs(y).max()))
            good = good and holds
            print(f"{'ok' if holds else 'FAIL'}: {name}, batch {batch}, {tuple(y.shape)} {off:.2g}")
    return 0 if good else 1


sys.exit(main())
