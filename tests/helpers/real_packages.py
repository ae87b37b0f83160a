"""Runs the real Keras or timm in a process of its own.

Usage: python tests/helpers/real_packages.py PACKAGE make|run FOLDER SIZE...

`make` gives the package's Xception of 7 classes random weights and statistics, and saves it in every format there is;
`run` loads the files called back.* instead. Both write the logits of the images of each size, as made-<size>.npy or
<file>-<size>.npy.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np

CLASSES = 7


def images(size: int) -> np.ndarray:
    """Return two images (2, 3, size, size), float32, in [-1, 1]."""
    return np.random.default_rng(size).uniform(-1, 1, (2, 3, size, size)).astype(np.float32)


def norm_values(random: np.random.Generator, channels: int, epsilon: float) -> list[np.ndarray]:
    """Return gamma, beta, mean and variance; many variances are far below epsilon, and gamma makes up for it."""
    variance = 10 ** random.uniform(-6, 0, channels)
    gamma = np.sqrt(variance + epsilon) * random.uniform(0.8, 1.2, channels)
    return [gamma, random.normal(0, 0.1, channels), random.normal(0, 0.1, channels), variance]


def kernel(random: np.random.Generator, shape: tuple[int, ...], fan_in: int) -> np.ndarray:
    return random.normal(0, np.sqrt(1 / fan_in), shape)


def use_keras(command: str, folder: Path, sizes: list[int]) -> None:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras

    def build(**options):
        return keras.applications.Xception(weights=None, classes=CLASSES, classifier_activation=None, **options)

    def run(model, name: str) -> None:
        for size in sizes:
            logits = model.predict(images(size).transpose(0, 2, 3, 1), verbose=0)
            np.save(folder / f"{name}-{size}.npy", logits)

    model = build()
    if command == "run":
        for path in sorted(folder.glob("back.*")):
            model.load_weights(path)
            run(model, path.name)
        return
    random = np.random.default_rng(0)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(norm_values(random, len(weights[0]), layer.epsilon))
        elif isinstance(layer, keras.layers.SeparableConv2D):
            depthwise, pointwise = (weight.shape for weight in weights)
            layer.set_weights([kernel(random, depthwise, 9), kernel(random, pointwise, pointwise[2])])
        elif weights:
            shapes = [weight.shape for weight in weights]
            layer.set_weights([kernel(random, shape, int(np.prod(shape[:-1]))) for shape in shapes])
    model.save_weights(folder / "new.weights.h5")
    model.save(folder / "whole.keras")
    model.save(folder / "whole.h5")
    keras.Model(model.inputs, model.layers[-3].output).save_weights(folder / "no_top.weights.h5")
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(folder / "legacy.h5", "w") as file:
        save_weights_to_hdf5_group(file, model)
    run(model, "made")


def use_timm(command: str, folder: Path, sizes: list[int]) -> None:
    import timm
    import torch
    from safetensors.torch import load_file, save_file

    model = timm.create_model("legacy_xception", num_classes=CLASSES).eval()

    def run(name: str) -> None:
        for size in sizes:
            with torch.no_grad():
                np.save(folder / f"{name}-{size}.npy", model(torch.from_numpy(images(size))).numpy())

    if command == "run":
        for path in sorted(folder.glob("back.*")):
            state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, weights_only=True)
            model.load_state_dict(state, strict=True)
            run(path.name)
        return
    random = np.random.default_rng(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                tensors = (module.weight, module.bias, module.running_mean, module.running_var)
                for tensor, value in zip(tensors, norm_values(random, len(module.weight), module.eps), strict=True):
                    tensor.copy_(torch.from_numpy(value))
            elif isinstance(module, torch.nn.Conv2d | torch.nn.Linear):
                shape = tuple(module.weight.shape)
                module.weight.copy_(torch.from_numpy(kernel(random, shape, int(np.prod(shape[1:])))))
    state = model.state_dict()
    torch.save(state, folder / "plain.pth")
    torch.save(state, folder / "old.pth", _use_new_zipfile_serialization=False)
    wrapped = {f"module.{name}": tensor for name, tensor in state.items()}
    torch.save({"epoch": 3, "state_dict": wrapped}, folder / "wrapped.pth")
    save_file(state, folder / "plain.safetensors")
    run("made")


if __name__ == "__main__":
    use = {"keras": use_keras, "timm": use_timm}[sys.argv[1]]
    use(sys.argv[2], Path(sys.argv[3]), [int(size) for size in sys.argv[4:]])
