"""What computes a validation, with the weights of its moment: the network in C++ where training has one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState
from src.cpu.classifier import CpuClassifier
from src.evaluation.counting import Engine
from src.evaluation.engines import by_classifier, by_mindspore, image_loss
from src.model_utils.config import Config, ConfigError
from src.model_utils.derived_settings import is_bfloat16, to_evaluation_precision
from src.model_utils.eval_engine import AUTO, is_converted

Opening = Callable[[], AbstractContextManager[Engine]]


def settle_validation(config: Config) -> Config:
    """Return the configuration with `eval_while_train` where a part of the training images is held out.

    Raises:
        ConfigError: If there are no images to validate on, or two sets of them, or validations are to be computed by
            what cannot follow a training.
    """
    if config.validation_split:
        if config.test_data_dir and config.is_given("test_data_dir"):
            raise ConfigError(
                f"both test_data_dir ({config.test_data_dir}) and validation_split ({config.validation_split:g}) are "
                "given: validate on a folder of its own, or on a part of the training images, and leave the other out"
            )
        config = config.replace(eval_while_train=True)
    elif config.eval_while_train and not config.test_data_dir:
        raise ConfigError(
            "eval_while_train needs images to validate on: give their folder with --test_data_dir=DIR, or hold out a "
            "part of the training images with --validation_split=0.1"
        )
    if config.eval_while_train and is_converted(config):
        raise ConfigError(
            f"eval_engine is {config.eval_engine}, but training validates by the operators in C++ or by MindSpore: use "
            "--eval_engine=auto or mindspore"
        )
    return config


def is_last(config: Config, position: Position) -> bool:
    """Tell whether a training ends at a position, in steps of its own."""
    return position.epoch >= config.epoch_size or 0 < config.max_steps <= position.global_step


def validates_after(config: Config, position: Position) -> bool:
    """Tell whether a training with validations has one at a position: every `eval_interval` epochs, and at its end."""
    return (not position.step and position.epoch % config.eval_interval == 0) or is_last(config, position)


def validation_engine(config: Config, state: TrainingState, library: Path | None) -> Opening:
    """Return what opens the engine of one validation.

    Args:
        config: With `eval_engine`, precision, loss and size of the batches.
        state: What is trained, whose moving average is validated if it has one.
        library: The operators in C++ that training uses; None for MindSpore's.
    """
    loss = image_loss(config)
    if library is None or config.eval_engine != AUTO:
        network = state.network if state.averaged is None else to_evaluation_precision(config, state.averaged)
        engine = by_mindspore(network, loss, config.batch_size)  # compiled once, it takes each batch's weights
        return lambda: nullcontext(engine)

    @contextmanager
    def with_weights_of_now() -> Iterator[Engine]:
        classifier = CpuClassifier(library, state.networks[-1], is_bfloat16(config))
        try:
            yield by_classifier(classifier, loss, config.batch_size)
        finally:
            classifier.close()  # training needs the memory

    return with_weights_of_now
