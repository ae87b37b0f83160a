"""The folder of a training: kept for it alone, with what stands there before the first step."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from src.checkpoints.keeper import CheckpointKeeper, Keep
from src.checkpoints.names import BAD_IMAGES
from src.checkpoints.training_state import TrainingState
from src.common.files import printable
from src.common.folder_lock import only_writer
from src.data.usable_images import UsableImages, write_bad_images
from src.evaluation.evaluation_set import EvaluationSet
from src.model_utils.beside import CONFIG
from src.model_utils.config import Config
from src.model_utils.local_adapter import Group
from src.training.describe import KEPT
from src.training.events import EventLog, only_log_writer, open_events
from src.training.line import Line, open_line
from src.training.metrics import MetricsLog
from src.training.origin import Origin
from src.training.plan import TrainingPlan
from src.training.resume import Start
from src.training.summary import summarize


@dataclass(frozen=True)
class Training:
    """What the parts of a training follow from; `folder` is that of its checkpoints, `library` the operators in C++."""

    config: Config
    group: Group
    state: TrainingState
    plan: TrainingPlan
    start: Start
    folder: Path
    images: UsableImages
    library: Path | None = None
    class_weights: tuple[float, ...] | None = None


@contextmanager
def open_folder(
    training: Training, origin: Origin | None, test_images: EvaluationSet | None
) -> Iterator[tuple[MetricsLog | None, CheckpointKeeper | None, EventLog | None]]:
    """Keep the folder for this training, and begin its files; only the first rank writes any."""
    if training.group.rank != 0:
        yield None, None, None
        return
    config, folder, start = training.config, training.folder, training.start
    with (
        only_writer(folder, "another training", "choose another --save_checkpoint_path"),
        only_log_writer(config.log_dir, folder),
    ):
        line = open_line(config, folder, training.images.class_names, start)
        if origin and not origin.path.exists():
            print(
                f"{origin.path} is among them, and has been read: the same command would not find it there again; give "
                "another --save_checkpoint_path",
                file=sys.stderr,
                flush=True,
            )
        print_summary(training, origin, test_images)
        print(f"configuration: {folder / CONFIG}", flush=True)
        for path in write_bad_images(
            folder / BAD_IMAGES, training.images, *([test_images.images] if test_images else [])
        ):
            print(f"the bad images are listed in {path}", flush=True)
        keeper = _keeper(training, line.best)
        if not config.log_dir:
            yield line.metrics, keeper, None
            return
        with closing(_events(training, line)) as events:
            yield line.metrics, keeper, events


def print_summary(training: Training, origin: Origin | None, test_images: EvaluationSet | None) -> None:
    """Print what is about to be trained; only the first rank does."""
    if training.group.rank != 0:
        return
    images, has_library = (training.images, test_images), training.library is not None
    for said in summarize(training.config, training.group, training.plan, images, origin, has_library=has_library):
        print(printable(said), flush=True)


def _events(training: Training, line: Line) -> EventLog:
    """Begin the events of a training, which follow its metrics from here on."""
    folder = Path(training.config.log_dir)
    events = open_events(folder, training.folder, training.start.position.global_step if line.goes_on else None)
    line.metrics.mirror_to(events.add)
    if line.goes_on and line.metrics.last:
        events.add(line.metrics.last)  # TensorBoard has forgotten that of the step before the first
    print(f"TensorBoard: tensorboard --logdir={folder}", flush=True)
    return events


def _keeper(training: Training, best: float) -> CheckpointKeeper | None:
    config = training.config
    if not config.save_checkpoint:
        return None
    recipe = training.state.metadata.provenance.recipe if training.state.metadata else {}
    keep = replace(keep_of(config), besides=frozenset(str(recipe.get(KEPT, "")).split()))
    return CheckpointKeeper(training.folder, training.state, keep, best)


def keep_of(config: Config) -> Keep:
    """Return which checkpoints a configuration asks for."""
    return Keep(
        config.save_checkpoint_epochs,
        config.keep_checkpoint_max,
        config.epoch_size,
        metric=config.best_metric,
        steps=config.save_checkpoint_steps,
    )
