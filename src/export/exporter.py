"""Export to MINDIR, AIR and ONNX; a file takes its place only after it has given the network's own logits."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, gettempdir

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from src.common.files import atomic_write
from src.common.progress import Progress
from src.export.mindir_model import load_mindir
from src.export.mindir_version import rewrite_version
from src.export.onnx_model import import_onnxruntime, load_onnx

SUFFIXES = {"MINDIR": ".mindir", "AIR": ".air", "ONNX": ".onnx"}
CHECKED_BATCHES = 3
# Largest difference of a logit, relative to the largest logit. Ascend convolves in half precision.
TOLERANCES = {"CPU": 1e-4, "GPU": 1e-3, "Ascend": 2e-2}

_EXPORTABLE = re.compile(r"[\w@.:/\\-]+", re.ASCII)
Runner = Callable[[np.ndarray], np.ndarray]


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
    network: nn.Cell,
    file_name: str,
    file_format: str,
    batch_size: int,
    width: int,
    height: int,
    device_target: str,
    mindir_version: int = 0,
) -> Exported:
    """Export a network for inference, and compare the written file's logits with the network's.

    Args:
        network: Maps images, float32 (batch_size, 3, height, width), to logits; is left in evaluation mode.
        file_name: Path of the file, with or without the suffix of the format; missing folders are created.
        file_format: "MINDIR", "AIR" or "ONNX".
        batch_size: Images in a batch, 1 or more.
        width: Width of the images in pixels.
        height: Height of the images in pixels.
        device_target: Device in use, "Ascend", "GPU" or "CPU".
        mindir_version: Version of the MINDIR format, 1 or 2; 0 takes the one that MindSpore writes.

    Returns:
        The file and how well it agrees.

    Raises:
        ValueError: If the format or its version is not possible here, the name is empty, the weights do not fit into
            one file (1 GiB for MINDIR, 2 GiB for ONNX), or the logits differ or are not finite; the file that was there
            before is untouched.
        OSError: If the file cannot be written.
    """
    _check_possible(file_format, device_target, mindir_version)
    suffix = SUFFIXES[file_format]
    path = Path(file_name if file_name.endswith(suffix) else f"{file_name}{suffix}")
    if path.name == suffix:
        raise ValueError(f"the file name '{file_name}' has no name in it: give one, such as xception")
    network.set_train(False)
    shape = (batch_size, 3, height, width)
    # MindSpore exports to no path with a space or a letter beyond ASCII, so the file is made elsewhere.
    steps = 1 if file_format == "AIR" else 1 + CHECKED_BATCHES
    with TemporaryDirectory(prefix="xception-") as folder, Progress(steps, "export", unit="steps") as progress:
        written = Path(folder, f"new{suffix}")
        _write(network, shape, written, file_format, mindir_version)
        if list(written.parent.iterdir()) != [written]:
            raise ValueError(f"{path} is not written: MindSpore splits weights this large over several files")
        progress.update(note="written")
        difference = None
        if file_format != "AIR":
            run = (load_mindir(written) if file_format == "MINDIR" else load_onnx(written)).run
            difference = _compare(network, run, shape, TOLERANCES[device_target], path, progress)
        atomic_write(path, written.read_bytes())
    return Exported(path, difference)


def _check_possible(file_format: str, device_target: str, mindir_version: int) -> None:
    """Raise for what cannot be exported or checked on this machine, before any work is done."""
    if mindir_version and file_format != "MINDIR":
        raise ValueError(
            f"{file_format} has no MINDIR version: leave out --mindir_version, or use --file_format=MINDIR"
        )
    if file_format == "AIR" and device_target != "Ascend":
        raise ValueError(f"AIR can be exported on Ascend only, this is {device_target}: use --file_format=MINDIR")
    if file_format == "ONNX":
        import_onnxruntime()
    _check_temporary_folder()


def _check_temporary_folder() -> None:
    if not _EXPORTABLE.fullmatch(gettempdir()):
        raise ValueError(
            f"MindSpore cannot export in the temporary folder {gettempdir()}: set TMPDIR to a path of ASCII letters, "
            "digits and -_.:@ only"
        )


def write_onnx(network: nn.Cell, shape: tuple[int, int, int, int], path: Path) -> None:
    """Write a network as ONNX in the temporary folder, without the check of export_network.

    Args:
        network: Maps images to logits; in evaluation mode.
        shape: Shape of the images, (batch size, 3, height, width).
        path: The file, in a folder below the temporary one.

    Raises:
        ValueError: If MindSpore cannot export there.
    """
    _check_temporary_folder()
    _write(network, shape, path, "ONNX", 0)


def _write(network: nn.Cell, shape: tuple[int, ...], path: Path, file_format: str, mindir_version: int) -> None:
    """Write the network for images of a shape, without any check."""
    images = Tensor(np.zeros(shape, np.float32))
    if file_format == "ONNX":
        ms.onnx.export(network, images, file_name=str(path), input_names=["images"], output_names=["logits"])
    else:
        rewrite = partial(rewrite_version, version=mindir_version) if mindir_version else None
        ms.export(network, images, file_name=str(path), file_format=file_format, custom_func=rewrite)


def _compare(
    network: nn.Cell, run: Runner, shape: tuple[int, ...], tolerance: float, path: Path, progress: Progress
) -> float:
    """Return the largest relative difference on random images; raise if it is too large."""
    difference = 0.0
    for seed in range(CHECKED_BATCHES):
        images = np.random.default_rng(seed).uniform(-1, 1, shape).astype(np.float32)
        expected = network(Tensor(images)).asnumpy().astype(np.float32)
        found = run(images)
        if not np.isfinite(expected).all():
            raise ValueError(f"{path} is not written: the network's logits are NaN or infinite; use another checkpoint")
        if found.shape != expected.shape or found.dtype != np.float32:
            raise ValueError(
                f"{path} is not written: the exported file gives {found.dtype} {found.shape} instead of float32 "
                f"{expected.shape}"
            )
        scale = max(float(np.abs(expected).max()), 1e-12)
        # Unlike max, it keeps a NaN of the file, which the comparison below then refuses.
        difference = float(np.maximum(difference, np.abs(found - expected).max() / scale))
        progress.update(note="compared")
    if not difference <= tolerance:
        raise ValueError(
            f"{path} is not written: its logits differ from the network's by {difference:.2g} of the largest logit, "
            f"more than {tolerance:g}"
        )
    return difference
