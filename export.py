"""Export a checkpoint of Xception for inference: MINDIR, AIR or ONNX."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from src.model_utils.command import run_command
from src.model_utils.config import Config, ConfigError, parse_config
from src.model_utils.device_adapter import resolve_device, use_device
from src.model_utils.moxing_adapter import moxing_wrapper


def main(argv: Sequence[str]) -> None:
    """Run the command; `argv` is without the program's name."""
    config = parse_config(argv, resolve_device, __doc__)
    if not config.ckpt_file:
        raise ConfigError("no checkpoint given: add --ckpt_file=FILE.ckpt")
    run_export(config)


@moxing_wrapper
def run_export(config: Config) -> None:
    """Export as the configuration says."""
    use_device(config)

    from src.checkpoints.weights import load_weights  # MindSpore takes seconds to import: --help does without
    from src.export.exporter import ExportForm, export_network
    from src.Xception import xception

    network = xception(config.num_classes)
    load_weights(network, config.ckpt_file)
    form = ExportForm(
        file_format=config.file_format,
        batch_size=config.export_batch_size,
        width=config.width,
        height=config.height,
        mindir_version=config.mindir_version,
        dynamic_batch=config.dynamic_batch,
        precision=config.onnx_precision,
    )
    exported = export_network(network, config.file_name, form, config.device_target)
    size = exported.path.stat().st_size / 1e6
    shape = f"{'any number' if form.dynamic_batch else form.batch_size} x 3 x {form.height} x {form.width}"
    print(f"wrote {exported.path}: {size:.1f} MB, input {shape}{', float16' if form.precision == 'float16' else ''}")
    if exported.difference is None:
        print("not checked: AIR files can be loaded by the Ascend tools only")
    else:
        counts = form.checked_batches
        images = f"{counts[0]}, {counts[1]} and {counts[2]}" if form.dynamic_batch else sum(counts)
        print(f"checked: loaded back, its logits for {images} images differ by {exported.difference:.1e} at most")


if __name__ == "__main__":
    sys.exit(run_command(main))
