"""Runs the real Keras or timm in a process of its own.

Usage: python tests/helpers/real_packages.py PACKAGE make|run|models FOLDER SIZE...

`make` gives the package's Xception of 7 classes random weights and statistics, and saves it in every format there is;
`run` loads the files called back.* instead. Both write the logits of the images of each size, as made-<size>.npy or
<file>-<size>.npy, and `make` those of photo.jpg through the package's own preprocessing, as photo.npy, and what that is
as figures.json. `models` writes Keras's models with an Xception inside, and their probabilities for the raw images
raw.npy as <file>.npy.
"""

from __future__ import annotations

import inspect
import json
import os
import sys
from pathlib import Path

import numpy as np
from PIL import Image

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
    randomise(model)
    model.save_weights(folder / "new.weights.h5")
    model.save(folder / "whole.keras")
    model.save(folder / "whole.h5")
    keras.Model(model.inputs, model.layers[-3].output).save_weights(folder / "no_top.weights.h5")
    save_legacy(model, folder / "legacy.h5")
    run(model, "made")
    options = inspect.signature(keras.utils.image_dataset_from_directory).parameters
    figures = {name: options[name].default for name in ("interpolation", "crop_to_aspect_ratio", "pad_to_aspect_ratio")}
    figures |= {"sides": model.input_shape[1:3], "version": keras.__version__}
    (folder / "figures.json").write_text(json.dumps(figures))
    image = keras.utils.img_to_array(keras.utils.load_img(folder / "photo.jpg"))
    image = np.array(keras.ops.image.resize(image, (299, 299), figures["interpolation"]))
    np.save(folder / "photo.npy", model.predict(keras.applications.xception.preprocess_input(image[None]), verbose=0))


def randomise(model) -> None:
    """Give a model of Keras, or the models in it, random weights and statistics."""
    import keras

    random = np.random.default_rng(0)
    for layer in model.layers:
        weights = layer.get_weights()
        if isinstance(layer, keras.Model):
            randomise(layer)
            continue
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.set_weights(norm_values(random, len(weights[0]), layer.epsilon))
        elif isinstance(layer, keras.layers.SeparableConv2D):
            depthwise, pointwise = (weight.shape for weight in weights)
            layer.set_weights([kernel(random, depthwise, 9), kernel(random, pointwise, pointwise[2])])
        elif weights:
            shapes = [weight.shape for weight in weights]
            layer.set_weights([kernel(random, shape, int(np.prod(shape[:-1]))) for shape in shapes])


def save_legacy(model, path: Path) -> None:
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)


def make_keras_models(folder: Path) -> None:
    """Save models as people make them by transfer learning: of raw images, but for those called plain."""
    import keras
    from keras import layers

    shape = (96, 96, 3)

    def model(units: int, activation: str | None, *front, pooling=layers.GlobalAveragePooling2D, frozen: bool = True):
        base = keras.applications.Xception(weights=None, include_top=False, input_shape=shape)
        base.trainable = not frozen
        for layer in base.layers[:40] if not frozen else ():  # fine-tuning of the later layers
            layer.trainable = False
        inputs = keras.Input(shape)
        outputs = inputs
        for layer in front:
            outputs = layer(outputs)
        outputs = layers.Dropout(0.2)(pooling()(base(outputs, training=False)))
        return keras.Model(inputs, layers.Dense(units, activation=activation)(outputs))

    def save(made, *names: str) -> None:
        randomise(made)
        for name in names:
            (made.save_weights if ".weights." in name else made.save)(folder / name)
        raw = np.load(folder / "raw.npy")
        # Called, not by `predict`, which would compile each of these models for one batch.
        probabilities = np.array(made(raw / 127.5 - 1 if names[0].startswith("plain") else raw, training=False))
        for name in names:
            np.save(folder / f"{name}.npy", probabilities)

    save(model(CLASSES, "softmax", frozen=False), "plain.keras", "plain.h5", "plain.weights.h5")
    base = keras.applications.Xception(weights=None, include_top=False, input_shape=shape)
    head = [layers.GlobalAveragePooling2D(), layers.Dense(CLASSES, activation="softmax")]
    save(keras.Sequential([keras.Input(shape), base, *head]), "plain_row.keras", "plain_row.h5", "plain_row.weights.h5")
    save(model(1, "sigmoid", layers.RandomFlip(), layers.Rescaling(1 / 127.5, offset=-1)), "one.keras", "one.h5")
    save(model(CLASSES, "softmax", layers.Rescaling(1 / 255)), "scaled.keras", "scaled.weights.h5")
    save(model(CLASSES, "softmax", keras.applications.xception.preprocess_input), "operators.keras")
    save(model(CLASSES, "sigmoid"), "sigmoids.keras", "sigmoids.h5")
    save(model(CLASSES, "softmax", pooling=layers.GlobalMaxPooling2D), "maximum.h5", "maximum.weights.h5")
    no_top = keras.applications.Xception(weights=None, include_top=False, input_shape=shape)
    randomise(no_top)
    no_top.save_weights(folder / "no_top.weights.h5")
    save_legacy(no_top, folder / "no_top.h5")


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
    save_file({name: tensor.bfloat16() for name, tensor in state.items()}, folder / "half.safetensors")
    run("made")
    (folder / "figures.json").write_text(json.dumps(model.pretrained_cfg))
    save_photo_logits(model, {}, folder / "photo.npy")
    save_as_timm_trains(model, folder)
    save_for_the_hub(model, folder / "hub")


def save_photo_logits(model, settings: dict, path: Path) -> None:
    """Write the logits of photo.jpg through timm's own preprocessing under settings of its training program."""
    import timm
    import torch

    transform = timm.data.create_transform(**timm.data.resolve_data_config(settings, model=model))
    with torch.no_grad(), Image.open(path.parent / "photo.jpg") as image:
        np.save(path, model(transform(image)[None]).numpy())


def save_for_the_hub(model, folder: Path) -> None:
    """Save what timm puts on its hub: weights, and a configuration with names and another preprocessing."""
    from timm.models import save_for_hf

    names = [f"name {number}" for number in range(CLASSES)]
    config = {"input_size": (3, 96, 96), "crop_pct": 0.9, "interpolation": "bilinear", "mean": (0.4,) * 3}
    save_for_hf(model, str(folder), {"label_names": names}, safe_serialization="both", data_config=config)


def save_as_timm_trains(model, folder: Path) -> None:
    """Save checkpoints by timm's own class: one with optimiser, a metric of NumPy's and a moving average of zeros, and
    tuned/last.pth.tar, of images with other settings, and the logits of photo.jpg under these.
    """
    from argparse import Namespace

    import torch
    from timm.utils import CheckpointSaver, ModelEmaV3

    average = ModelEmaV3(model)
    with torch.no_grad():
        for parameter in average.module.parameters():
            parameter.mul_(0.5)
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9)
    args = Namespace(model="legacy_xception", lr=np.float64(0.1), data=Path("imagenet"))
    saver = CheckpointSaver(model, optimizer, args, average, checkpoint_dir=str(folder), recovery_dir=str(folder))
    saver.save_checkpoint(3, np.float64(79.5))
    torch.save(average.module.state_dict(), folder / "average.pth")
    settings = {"img_size": 256, "crop_pct": 0.95, "interpolation": "bilinear", "mean": [0.485, 0.456, 0.406]}
    settings |= {"std": [0.229, 0.224, 0.225]}
    args = Namespace(model="legacy_xception", gp=None, input_size=None, **settings)
    tuned = folder / "tuned"
    tuned.mkdir()
    saver = CheckpointSaver(model, optimizer, args, checkpoint_dir=str(tuned), recovery_dir=str(tuned))
    saver.save_checkpoint(1)
    save_photo_logits(model, settings, folder / "tuned.npy")


if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = "jax"
    if sys.argv[2] == "models":
        make_keras_models(Path(sys.argv[3]))
        sys.exit()
    use = {"keras": use_keras, "timm": use_timm}[sys.argv[1]]
    use(sys.argv[2], Path(sys.argv[3]), [int(size) for size in sys.argv[4:]])
