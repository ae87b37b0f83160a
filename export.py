"""Export a checkpoint of Xception for inference: MINDIR, AIR or ONNX."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":  # run as a script: `src` is found with PYTHONSAFEPATH too
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from src.common.packages import check_packages

    check_packages()

from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.moxing_adapter import moxing_wrapper
from src.model_utils.unused import say_unused
from src.model_utils.weights_settings import average_note, say, settle

if TYPE_CHECKING:
    from src.export.exporter import ExportForm

SMALLEST_SIDE = 71


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name."""
    config = parse_config(argv, resolve_device, __doc__)
    say_unused(Path(__file__).name, argv)
    if not config.ckpt_file:
        raise ConfigError("no checkpoint given: add --ckpt_file=FILE.ckpt")
    for name in ("width", "height"):
        side = getattr(config, name)
        if 0 < side < SMALLEST_SIDE:
            raise ConfigError(f"option --{name}: expected 0, or an integer >= {SMALLEST_SIDE}, got {side}")
    run_export(config)


@partial(moxing_wrapper, files=("ckpt_file",))
def run_export(config: Config) -> None:
    """Export as the configuration says."""
    use_device(config)

    from src.checkpoints.weights import load_network  # MindSpore takes seconds to import: --help does without
    from src.export.exporter import ExportForm, export_network

    if config.width == config.height > 0:
        config = config.give(image_size=config.width)
    network, metadata, has_average = load_network(config.ckpt_file, use_average=config.use_average)
    settled = settle(config, Path(config.ckpt_file), metadata).fit(network.num_classes)
    config = settled.config
    form = ExportForm(
        file_format=config.file_format,
        batch_size=config.export_batch_size,
        width=config.width or config.image_size,
        height=config.height or config.image_size,
        mindir_version=config.mindir_version,
        dynamic_batch=config.dynamic_batch,
        precision=config.onnx_precision,
    )
    described = replace(
        settled.metadata,
        crop_pct=config.crop_pct,
        interpolation=config.interpolation,
        pool_padding=network.pool_padding,
    )
    exported = export_network(network, config.file_name, form, config.device_target, described)
    notes = average_note(config, settled.weights, has_average)
    say((*settled.notes, *notes, *_size_notes(form, config)))
    size = exported.path.stat().st_size / 1e6
    shape = f"{'any number' if form.dynamic_batch else form.batch_size} x 3 x {form.height} x {form.width}"
    print(f"wrote {exported.path}: {size:.1f} MB, input {shape}{', float16' if form.precision == 'float16' else ''}")
    if exported.difference is None:
        print("its classes and preprocessing are not in it: AIR has no place for them")
        print("not checked: AIR files can be loaded by the Ascend tools only")
    else:
        counts = form.checked_batches
        images = f"{counts[0]}, {counts[1]} and {counts[2]}" if form.dynamic_batch else sum(counts)
        print(f"checked: loaded back, its logits for {images} images differ by {exported.difference:.1e} at most")


def _size_notes(form: ExportForm, config: Config) -> list[str]:
    """Tell if a file takes other images than --image_size or the training says."""
    if form.width == form.height == config.image_size:
        return []
    return [f"the file takes images of {form.height} x {form.width}, as given, not {config.image_size} squared"]


if __name__ == "__main__":
    sys.exit(run_command(main))
