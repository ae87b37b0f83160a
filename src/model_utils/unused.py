"""Options that a command takes, as all commands share them, and that say nothing to it."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

_SPLIT = "it divides the images of a training; tools/split_dataset.py puts the same ones into folders"
AUGMENTATION = (
    "crop_min_area", "flip_probability", "vertical_flip", "color_jitter", "auto_augment", "rand_augment",
    "rand_augment_layers", "mixup", "cutmix", "random_erasing",
)  # fmt: skip
_IN_TRAINING = {
    **dict.fromkeys(AUGMENTATION, "it changes the images of a training alone"),
    "dropout_rate": "training alone drops features",
    **dict.fromkeys(("log_dir", "show_batch", "dry_run"), "it belongs to a training"),
}
# What a person could expect of a command that another one, or another option, does.
_ELSEWHERE = {
    "train.py": {
        "checkpoint_path": "--resume goes on with a checkpoint, --pretrained begins with one",
        "ckpt_file": "--resume goes on with a checkpoint, --pretrained begins with one",
        "onnx_path": "training begins with checkpoints",
        "use_average": "it validates the moving average of the weights wherever ema_decay keeps one",
        "eval_report": "eval.py writes it",
    },
    "eval.py": {
        "ckpt_file": "--checkpoint_path is evaluated",
        "pretrained": "--checkpoint_path is evaluated",
        "initial_checkpoint": "--checkpoint_path is evaluated",
        "resume": "--checkpoint_path is evaluated",
        "onnx_path": "eval_onnx.py evaluates it",
        "validation_split": _SPLIT,
        **_IN_TRAINING,
    },
    "eval_onnx.py": {
        "ckpt_file": "--onnx_path is evaluated",
        "checkpoint_path": "--onnx_path is evaluated",
        "use_average": "the file holds the weights that export.py took",
        "amp_level": "the file has its own precision",
        "enable_modelarts": "train.py, eval.py and export.py copy data in and results out",
        "validation_split": _SPLIT,
        **_IN_TRAINING,
    },
    "export.py": {
        "checkpoint_path": "--ckpt_file is exported",
        "onnx_path": "--ckpt_file is exported",
        "pretrained": "--ckpt_file is exported",
        "initial_checkpoint": "--ckpt_file is exported",
        "resume": "--ckpt_file is exported",
        "class_map": "the file gets the class names of the checkpoint",
        "amp_level": "the file is float32, an ONNX file as --onnx_precision says",
        "test_data_dir": "eval.py and eval_onnx.py evaluate",
        "eval_report": "eval.py and eval_onnx.py write it",
        "eval_engine": "eval.py and eval_onnx.py evaluate",
        **_IN_TRAINING,
    },
}


def say_unused(command: str, argv: Sequence[str], used: Collection[str] = ()) -> None:
    """Say on stderr which options of a command line have no effect that a person could expect.

    Args:
        command: Name of the command's file.
        argv: Its arguments. What a file of settings holds may be meant for other commands.
        used: Options that have an effect this time.
    """
    elsewhere = _ELSEWHERE[command]
    given = dict.fromkeys(word[2:].partition("=")[0] for word in argv if word.startswith("--"))
    for name in given:
        if name in elsewhere and name not in used:
            print(f"--{name} has no effect on {command}: {elsewhere[name]}", file=sys.stderr, flush=True)
