"""Prediction: the most likely classes of image files, and on request a picture of each with its heat map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from pathlib import Path

import numpy as np

from src.common.progress import Progress
from src.data.image_check import find_bad_images
from src.data.image_limits import ImageLimits
from src.dataset import read_image, seen_share
from src.model_utils.config import Config
from src.model_utils.derived_settings import workers
from src.model_utils.weights_settings import say
from src.prediction.class_names import find_class, names_for_people
from src.prediction.classifier import Classifier, ToFeatures, load_classifier
from src.prediction.grad_cam import GradCam
from src.prediction.image_arguments import named_images
from src.prediction.picture import PictureFolder
from src.prediction.ranking import Prediction, rank

# Maps images to logits, and to the heat map and the features of each image, None where these are not wanted.
Explainer = Callable[[np.ndarray], tuple[np.ndarray, Iterable[np.ndarray | None], Iterable[np.ndarray | None]]]


@dataclass(frozen=True)
class Options:
    """What is wanted of a prediction.

    Args:
        topk: Number of classes to name for each image, 1 or more; all where there are fewer.
        class_names: File of a class name a line; None takes those of the weights.
        save: Folder for a picture of each image with its top-5 bars; None writes none.
        gradcam: Whether the pictures show the heat map of a class; needs a checkpoint.
        gradcam_class: Number or name of that class; None takes each image's most likely one.
        features: Whether the features of each image are wanted; needs a checkpoint, and no heat maps beside them.
    """

    topk: int = 5
    class_names: Path | None = None
    save: Path | None = None
    gradcam: bool = False
    gradcam_class: str | None = None
    features: bool = False


@dataclass(frozen=True)
class Means:
    """What a prediction is done with.

    Args:
        library: The operators in C++, as build_evaluation_library returns them; None where they do not compute.
        pool: Processes that check the images; None starts them when they are needed.
    """

    library: Path | None = None
    pool: ProcessPoolExecutor | None = None


NOTHING_READY = Means()


@dataclass(frozen=True)
class Predictions:
    """The result for all images.

    Args:
        images: The predictions, in the order of the images.
        class_names: Name of every class.
        skipped: The reason for each file or word that gave no prediction.
        features: What the classifier sees of each image, float32 (images, 2048); None where that is not wanted.
    """

    images: Sequence[Prediction]
    class_names: Sequence[str]
    skipped: Mapping[str, str]
    features: np.ndarray | None = None


def predict(config: Config, words: Sequence[str], options: Options, means: Means = NOTHING_READY) -> Predictions:
    """Predict the classes of images.

    Args:
        config: With `checkpoint_path`, sizes, resizing and precision; the device is set already.
        words: The images: files, folders or patterns.
        options: What is wanted.
        means: What it is done with.

    Returns:
        The predictions. With fewer images than config.batch_size, all come in one batch.

    Raises:
        ValueError: If the network, its class names or the options do not fit together, or its logits are not finite.
        OSError: If a picture cannot be written.
    """
    paths, skipped = named_images(words)
    weights = Path(config.checkpoint_path)
    batch_size = max(min(config.batch_size, len(paths)), 1)
    classifier = load_classifier(
        weights,
        config.replace(batch_size=batch_size),
        options.class_names,
        means.library,
        features=options.features,
    )
    names = names_for_people(classifier.num_classes, classifier.settled.metadata.class_names)
    say((*classifier.notes, *_names_note(classifier)))
    heat_class = find_class(options.gradcam_class, names) if options.gradcam_class else None
    explain = _explainer(classifier, weights, options.gradcam, heat_class)
    settings = classifier.settled.config
    share = seen_share(settings.image_size, settings.crop_pct)
    read = partial(_try_to_read, config=settings)
    threads = workers(config)
    limits = ImageLimits.of(settings)
    with Progress(len(paths), "check") as progress:
        bad = {str(path): reason for path, reason in find_bad_images(paths, threads, progress, limits, means.pool)}
    skipped |= bad
    paths = [path for path in paths if str(path) not in bad]
    pictures = PictureFolder(options.save, paths, names, share) if options.save else None
    predictions = []
    rows = []
    with Progress(len(paths), "predict") as progress, ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(paths), classifier.batch_size):
            batch = paths[start : start + classifier.batch_size]
            readable, images = _read_batch(batch, pool.map(read, batch), classifier, skipped)
            for path, logits, heat, features in zip(readable, *explain(images), strict=False):
                ranked = rank(path, logits)
                predictions.append(ranked.first(options.topk))
                if pictures:
                    pictures.draw(ranked, heat, heat_class)
                if features is not None:
                    rows.append(features)
            progress.update(len(batch))
    return Predictions(predictions, names, skipped, np.array(rows) if rows else None)


def _names_note(classifier: Classifier) -> list[str]:
    """Tell which class names are assumed where the weights have none."""
    if classifier.settled.metadata.class_names:
        return []
    taken = "those of ImageNet" if classifier.num_classes == 1000 else "numbers: --class_names=FILE gives them"
    return [f"{classifier.settled.weights} does not tell the names of its classes; they are {taken}"]


def _explainer(classifier: Classifier, weights: Path, gradcam: bool, label: int | None) -> Explainer:
    """Return what is run on each batch of images."""
    if classifier.to_features:
        return partial(_with_features, classifier.to_features)
    if not gradcam:
        return lambda images: (classifier.run(images), repeat(None), repeat(None))
    if classifier.network is None:
        raise ValueError(f"Grad-CAM needs the feature maps inside the network: give its checkpoint, not {weights}")
    explain = partial(GradCam(classifier.network), label=label)
    return lambda images: (*explain(images), repeat(None))


def _with_features(
    to_features: ToFeatures, images: np.ndarray
) -> tuple[np.ndarray, Iterable[None], Iterable[np.ndarray]]:
    features, logits = to_features(images)
    return logits, repeat(None), features


def _read_batch(
    paths: Sequence[Path], read: Iterable[np.ndarray | str], classifier: Classifier, skipped: dict[str, str]
) -> tuple[list[Path], np.ndarray]:
    """Return the paths of the readable images, and these, with zeros up to a whole batch: one graph serves all."""
    size = classifier.image_size
    readable: list[Path] = []
    images = np.zeros((classifier.batch_size, 3, size, size), np.float32)
    for path, image in zip(paths, read, strict=True):
        if isinstance(image, str):
            skipped[str(path)] = image
        else:
            images[len(readable)] = image
            readable.append(path)
    return readable, images


def _try_to_read(path: Path, *, config: Config) -> np.ndarray | str:
    """Return an image as the network takes it, or why it cannot be read."""
    try:
        return read_image(
            path,
            config.image_size,
            crop_pct=config.crop_pct,
            interpolation=config.interpolation,
            max_image_pixels=config.max_image_pixels,
        )
    except (OSError, ValueError) as error:
        return str(error)
