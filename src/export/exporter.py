"""Export to MINDIR, AIR and ONNX; a file takes its place only after it has given the network's own logits."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.common.files import atomic_write, naming
from src.common.progress import Progress
from src.export.mindir_version import rewrite_version
from src.export.model_file import ToLogits, import_onnxruntime, load_model_file
from src.export.onnx_rewrite import LARGEST, largest_value, open_batch, to_float16
from src.metadata.metadata import Metadata
from src.metadata.model_entries import add_metadata

SUFFIXES = {"MINDIR": ".mindir", "AIR": ".air", "ONNX": ".onnx"}
CHECKED_BATCHES = 3
OPEN_BATCHES = (1, 3, 8)  # sizes that a file of any batch size is checked with
# Largest difference of a logit, relative to the largest logit. Ascend convolves in half precision.
TOLERANCES = {"CPU": 1e-4, "GPU": 1e-3, "Ascend": 2e-2}
FLOAT16_TOLERANCE = 2e-2

_EXPORTABLE = re.compile(r"[\w@.:/\\-]+", re.ASCII)


@dataclass(frozen=True)
class ExportForm:
    """What a network is exported as.

    Args:
        file_format: "MINDIR", "AIR" or "ONNX".
        batch_size: Images in a batch, 1 or more.
        width: Width of the images in pixels.
        height: Height of the images in pixels.
        mindir_version: Version of the MINDIR format, 1 or 2; 0 takes the one that MindSpore writes.
        dynamic_batch: Whether an ONNX file takes batches of any size; batch_size does not matter then.
        precision: "float32", or for ONNX "float16", that of weights and computation; images and logits stay float32.
    """

    file_format: str
    batch_size: int
    width: int
    height: int
    mindir_version: int = 0
    dynamic_batch: bool = False
    precision: str = "float32"

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Shape of the images, (batch_size, 3, height, width)."""
        return self.batch_size, 3, self.height, self.width

    @property
    def checked_batches(self) -> tuple[int, ...]:
        """Sizes of the batches whose logits are compared."""
        return OPEN_BATCHES if self.dynamic_batch else (self.batch_size,) * CHECKED_BATCHES


@dataclass(frozen=True)
class Exported:
    """A file that was exported.

    Args:
        path: The file.
        difference: Largest difference between its logits and the network's, relative to the largest logit; None for
            AIR, which only the Ascend tools can load.
    """

    path: Path
    difference: float | None


def export_network(
    network: nn.Cell, file_name: str, form: ExportForm, device_target: str, metadata: Metadata | None = None
) -> Exported:
    """Export a network for inference, and compare the written file's logits with the network's.

    Args:
        network: Maps images, float32 of the form's shape, to logits; is left in evaluation mode.
        file_name: Path of the file, with or without the suffix of the format; missing folders are created.
        form: Format, and sizes of the images.
        device_target: Device in use, "Ascend", "GPU" or "CPU".
        metadata: What the weights mean, which the file tells too, with a digest of all of it; AIR has no place for it.

    Returns:
        The file and how well it agrees.

    Raises:
        ValueError: If the format or its version is not possible here, the name is empty, the weights do not fit into
            one file (1 GiB for MINDIR, 2 GiB for ONNX), or the logits differ or are not finite; the file that was there
            before is untouched.
        OSError: If the file cannot be written.
    """
    _check_possible(form, device_target)
    suffix = SUFFIXES[form.file_format]
    path = Path(file_name if file_name.endswith(suffix) else f"{file_name}{suffix}")
    if path.name == suffix:
        raise ValueError(f"the file name '{file_name}' has no name in it: give one, such as xception")
    network.set_train(False)
    # MindSpore exports to no path with a space or a letter beyond ASCII, so the file is made elsewhere.
    is_loadable = form.file_format != "AIR"
    steps = 1 + len(form.checked_batches) if is_loadable else 1
    with TemporaryDirectory(prefix="xception-") as folder, Progress(steps, "export", unit="steps") as progress:
        written = Path(folder, f"new{suffix}")
        _write(network, form, written)
        if list(written.parent.iterdir()) != [written]:
            raise ValueError(f"{path} is not written: MindSpore splits weights this large over several files")
        if form.precision == "float16":
            _to_float16(written, form, path)
        if metadata and is_loadable:
            with naming(written):
                written.write_bytes(add_metadata(written.read_bytes(), metadata))
        progress.update(note="written")
        difference = _compare(network, load_model_file(written).run, form, path, progress) if is_loadable else None
        tolerance = FLOAT16_TOLERANCE if form.precision == "float16" else TOLERANCES[device_target]
        if difference is not None and not difference <= tolerance:
            raise ValueError(
                f"{path} is not written: its logits differ from the network's by {difference:.2g} of the largest "
                f"logit, more than {tolerance:g}"
            )
        atomic_write(path, written.read_bytes())
    return Exported(path, difference)


def write_unchecked(network: nn.Cell, form: ExportForm, path: Path) -> None:
    """Write a network in the temporary folder, without the check of export_network.

    Args:
        network: Maps images to logits; in evaluation mode.
        form: Format, and sizes of the images.
        path: The file, in a folder below the temporary one.

    Raises:
        ValueError: If MindSpore cannot export there.
    """
    _check_temporary_folder()
    _write(network, form, path)


def _check_possible(form: ExportForm, device_target: str) -> None:
    """Raise for what cannot be exported or checked on this machine, before any work is done."""
    if form.mindir_version and form.file_format != "MINDIR":
        raise ValueError(
            f"{form.file_format} has no MINDIR version: leave out --mindir_version, or use --file_format=MINDIR"
        )
    if form.file_format != "ONNX" and (form.dynamic_batch or form.precision != "float32"):
        raise ValueError(
            f"--dynamic_batch and --onnx_precision are for ONNX alone: leave them out for {form.file_format}, or use "
            "--file_format=ONNX"
        )
    if form.file_format == "AIR" and device_target != "Ascend":
        raise ValueError(f"AIR can be exported on Ascend only, this is {device_target}: use --file_format=MINDIR")
    if form.file_format == "ONNX":
        import_onnxruntime()
    _check_temporary_folder()


def _check_temporary_folder() -> None:
    if not _EXPORTABLE.fullmatch(gettempdir()):
        raise ValueError(
            f"MindSpore cannot export in the temporary folder {gettempdir()}: set TMPDIR to a path of ASCII letters, "
            "digits and -_.:@ only"
        )


def _write(network: nn.Cell, form: ExportForm, path: Path) -> None:
    """Write the network, without any check."""
    images = Tensor(np.zeros(form.shape, np.float32))
    if form.file_format == "ONNX":
        ms.onnx.export(network, images, file_name=str(path), input_names=["images"], output_names=["logits"])
        if form.dynamic_batch:
            open_batch(path)
    else:
        rewrite = partial(rewrite_version, version=form.mindir_version) if form.mindir_version else None
        ms.export(network, images, file_name=str(path), file_format=form.file_format, custom_func=rewrite)


def _to_float16(written: Path, form: ExportForm, path: Path) -> None:
    """Turn a file into float16; raise where that cannot hold the weights, or what the network computes."""
    try:
        largest, name = largest_value(written, _random_images(0, form.shape))
        if not largest <= LARGEST:
            raise ValueError(f"its value {name} reaches {largest:.3g}, and float16 is trusted up to {LARGEST:g}")
        to_float16(written)
    except ValueError as error:
        raise ValueError(f"{path} is not written: {error}; use --onnx_precision=float32") from error


def _random_images(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)


def _compare(network: nn.Cell, run: ToLogits, form: ExportForm, path: Path, progress: Progress) -> float:
    """Return the largest relative difference on random images; raise if there is none to tell."""
    difference = 0.0
    most = max(form.checked_batches)
    for seed, count in enumerate(form.checked_batches):
        images = _random_images(seed, (most, *form.shape[1:]))  # of one size: the network is compiled for each
        expected = network(Tensor(images)).asnumpy().astype(np.float32)
        expected = expected[:count] if count < most else expected
        found = run(images[:count])
        if not np.isfinite(expected).all():
            raise ValueError(f"{path} is not written: the network's logits are NaN or infinite; use another checkpoint")
        if found.shape != expected.shape or found.dtype != np.float32:
            raise ValueError(
                f"{path} is not written: the exported file gives {found.dtype} {found.shape} instead of float32 "
                f"{expected.shape}"
            )
        scale = max(float(np.abs(expected).max()), 1e-12)
        # Unlike max, it keeps a NaN of the file, which the caller then refuses.
        difference = float(np.maximum(difference, np.abs(found - expected).max() / scale))
        progress.update(note="compared")
    return difference
