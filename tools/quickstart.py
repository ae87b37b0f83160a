"""From images to a trained, evaluated and exported Xception, on a machine without any accelerator.

Without --data, 1,797 real handwritten digits are written as image folders and trained on. With --data, your own images
are: one folder a class, which are divided into training and validation unless the folder holds train/ and val/. FOLDER
receives everything; a second call with the same options reuses what is there, and goes on after an interruption.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found from any folder
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    from src.common.packages import check_packages

    check_packages()

from src.checkpoints.names import numbered_checkpoints
from src.common.files import atomic_write, printable
from src.common.folder_lock import only_writer
from src.common.stages import Stage, call
from src.data.image_folders import class_names
from src.model_utils.command import run_command
from tools.walkthrough.options import FINE_TUNING, ROOT, TRAINING, check_options, parse
from tools.walkthrough.result import figures_of, newest, rows_of, to_lines


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status: 0, or that of the stage that failed, which has said why.

    Raises:
        ConfigError: If an option is wrong, or the folder holds what other options have made.
        ValueError: If another process is at work there.
        OSError: If a file cannot be read or written.
    """
    args = parse(argv, __doc__ or "")
    with only_writer(args.folder, "another quick start", "choose another folder"):
        check_options(args)
        for number, stage in enumerate(stages := _stages(args), start=1):
            status = _run(stage, f"{number}/{len(stages)}")
            if status:
                return status
        print("\n== result")
        print("\n".join(to_lines(rows_of(args))), flush=True)
    return 0


def _stages(args: argparse.Namespace) -> list[Stage]:
    """Return what is to be done, in order; a stage is asked for its command when those before it have ended."""
    folder, images, bad = args.folder, args.images, args.bad_images

    def if_bad(option: str) -> list[str]:
        return [option] if bad.exists() and bad.stat().st_size else []

    def common() -> list[str]:
        skip = if_bad("--bad_images=skip") if args.is_divided else []  # else the division has left them out
        return ["--device_target=CPU", f"--test_data_dir={images / 'val'}", *skip]

    def split() -> list[str]:
        options = [f"--val={args.val}", *if_bad(f"--leave_out={bad}")]
        return ["tools/split_dataset.py", str(args.data), str(images), *options]

    def train() -> list[str]:
        given = {**FINE_TUNING} if args.pretrained else {}
        given.update((name, value) for name in TRAINING if (value := getattr(args, name)) is not None)
        options = [f"--{name}={value}" for name, value in given.items()]
        if args.data:
            options.append(f"--num_classes={len(class_names(str(images / 'train')))}")
        checkpoints = numbered_checkpoints(args.model)
        if checkpoints:
            options.append(f"--resume={checkpoints[-1]}")
        elif args.pretrained:
            options.append(f"--pretrained={args.pretrained.absolute()}")
        places = [
            f"--config_path={args.config}",
            f"--train_data_dir={images / 'train'}",
            f"--save_checkpoint_path={folder}",
        ]
        return ["train.py", *common(), *places, *options]

    def evaluate() -> list[str]:  # the checkpoint tells the size of the images, which may be another than the file's
        return ["eval.py", *common(), f"--checkpoint_path={newest(args)}", f"--eval_report={folder / 'report'}"]

    def export() -> list[str]:
        return [
            "export.py",
            "--device_target=CPU",
            f"--ckpt_file={newest(args)}",
            f"--file_name={folder / 'xception'}",
        ]

    check = ["tools/check_dataset.py", str(args.data), f"--list={bad}"]
    own = [Stage("check", lambda: check, bad, accepted=(0, 1))]  # 1: there are bad images, which are left out
    if not args.is_divided:
        own.append(Stage("split", split, images))
    digits = [Stage("data", lambda: ["tools/make_sample_dataset.py", str(images)], images / "dataset.json")]
    return [
        *(own if args.data else digits),
        Stage("training", train, folder / "train.json", is_noted=True),
        Stage("evaluation of the held-out images", evaluate, folder / "eval.json", is_noted=True),
        Stage("export", export, folder / "xception.mindir"),
    ]


def _run(stage: Stage, number: str) -> int:
    """Run a stage unless its result is there; return its status, 0 if it may go on."""
    print(f"\n== {number} {stage.name}", flush=True)
    if stage.result.exists():
        print(f"done already, reusing {printable(stage.result)}", flush=True)
        return 0
    begin = time.monotonic()
    script, *options = stage.command()
    status, lines = call([sys.executable, str(ROOT / script), *options])
    if status not in stage.accepted:
        return status
    if stage.is_noted:
        atomic_write(stage.result, json.dumps({"seconds": round(time.monotonic() - begin), **figures_of(lines)}) + "\n")
    return 0 if stage.result.exists() else status or 1


if __name__ == "__main__":
    sys.exit(run_command(main))
