"""Score the result files of the inference program in ascend310_infer against a label file: top-1 and top-5 accuracy."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

if __name__ == "__main__":  # run as a script: `src` is found with PYTHONSAFEPATH too
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from src.common.packages import check_packages

    check_packages()

from src.common.files import printable, user_path
from src.data.class_matching import ModelClasses
from src.data.label_file import read_labels
from src.evaluation.confusion import write_confusion
from src.evaluation.label_names import check_labels
from src.evaluation.result_files import read_description, score_results
from src.evaluation.result_matching import match_results
from src.model_utils.command import run_command
from src.model_utils.config import ConfigError

MAX_LISTED = 10
_HINT = "; labels made without one of the class folders are not the model's: use tools/imgid2label.py --model FILE"


def main(argv: Sequence[str]) -> int:
    """Run the command.

    Args:
        argv: Command-line arguments without the program's name.

    Returns:
        The exit status: 0 if every image has a label and a good result, 1 if not.

    Raises:
        ConfigError: If the folder or the label file is missing.
        ValueError: If the label file holds no label or labels of another model, or there is no good result of a
            labelled image, or no more than base names tell which, and these are not unique.
    """
    args = _parse(argv)
    if not args.result_path.is_dir():
        raise ConfigError(f"no folder {args.result_path}: give the folder that the inference program wrote")
    if not args.label_file.is_file():
        raise ConfigError(f"no label file {args.label_file}: tools/imgid2label.py writes one")
    matched = match_results(args.result_path, read_labels(args.label_file))
    labels = matched.labels
    if matched.note:
        print(matched.note, file=sys.stderr)
    known = read_description(args.result_path).class_names
    is_confirmed = check_labels(labels, ModelClasses("the model", len(known), known))
    scored = score_results(matched)
    classes = len(scored.accuracy.confusion)
    if len(known) not in (0, classes):
        raise ValueError(
            f"the results in {args.result_path} are of {classes} classes, and metadata.json there names {len(known)}: "
            "run the inference program again, into an empty folder"
        )
    for kind, messages in scored.problems.items():
        print(f"{len(messages)} {kind}:", *_shortened(messages), sep="\n  ", file=sys.stderr)
    if not scored.accuracy.images:
        raise ValueError(f"no result in {args.result_path} could be scored: the lines above say why")
    if args.report:
        names = known or labels.class_names(classes)
        for path in write_confusion(args.report, scored.accuracy.confusion, names):
            print(f"wrote {path}")
    print(scored.accuracy.to_line())
    print(scored.accuracy.to_model_zoo_line())
    print(f"scored {scored.accuracy.images} images of {len(labels.by_path)} in the label file")
    absent = [f"{label} ({known[label]})" if known else str(label) for label in labels.absent_classes(classes)]
    if absent:
        described = f"{len(absent)} of {classes} classes have no image in the label file"
        print(f"{described}: {', '.join(_shortened(absent))}{'' if is_confirmed else _HINT}")
    return 1 if scored.problems else 0


def _parse(argv: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="postprocess.py", description=__doc__)
    parser.add_argument(
        "--result_path", type=user_path, required=True, metavar="DIR", help="folder of the result files"
    )
    parser.add_argument(
        "--label_file",
        type=user_path,
        required=True,
        metavar="FILE",
        help="lines of 'path:label' or 'path label', the path relative to the data set's folder, or a base name alone",
    )
    parser.add_argument(
        "--report", type=user_path, metavar="DIR", help="write per_class.csv and the confusion matrix here"
    )
    parser.add_argument("--debug", action="store_true", help="print the traceback of an error")
    return parser.parse_args(argv)


def _shortened(messages: Sequence[str]) -> list[str]:
    """Return the first messages in a form that every terminal prints, and how many more there are."""
    shown = [printable(message) for message in messages[:MAX_LISTED]]
    more = len(messages) - len(shown)
    return [*shown, f"and {more} more"] if more else shown


if __name__ == "__main__":
    sys.exit(run_command(main))
