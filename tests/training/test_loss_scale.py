"""With a dynamic loss scale a step that overflows leaves the weights alone and is counted, also after a resume."""

from __future__ import annotations

import io
from dataclasses import replace
from unittest import mock

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn

from src.checkpoints.position import Position
from src.checkpoints.training_state import TrainingState, load_training, save_training
from src.common.progress import Progress
from src.model_utils.config import Config, parse_config
from src.training import model
from src.training.log import TrainingLog
from src.training.loss_scale import DynamicLossScale
from src.training.plan import TrainingPlan
from tests.helpers.configuration import parse
from tests.helpers.small_network import assert_same, values
from tests.helpers.small_training import Small

pytestmark = pytest.mark.slow

BATCH, CLASSES = 4, 3
HUGE = 2.0**127  # times a loss of 1 it is finite, times the gradient of these networks it is not
EVERYTHING = ("--ema_decay=0.5", "--gradient_accumulation=2", "--clip_grad_norm=1")


class Training:
    """A small training, built as trainer does it."""

    def __init__(self, config: Config):
        self.config = config
        network = Small(CLASSES).set_train()
        network.dropout = nn.Dropout(p=0.0)
        random = np.random.default_rng(1)
        for parameter in network.trainable_params():
            parameter.set_data(Tensor(random.normal(size=parameter.shape), ms.float32))
        network.fc.weight.set_data(network.fc.weight.value() * 10)
        with mock.patch.object(model, "xception", Small):
            averaged = model.build_average(config, network)
        optimizer = model.build_optimizer(config, network, np.full(99, 0.01, np.float32))
        self.state = TrainingState(network, optimizer, averaged, scaling=model.build_loss_scale(config))
        self._step = model.build_model(config, network, optimizer, averaged, scaling=self.state.scaling).train_network

    def step(self, seed: int, factor: float = 1.0) -> float:
        """Train with random images; return the loss."""
        random = np.random.default_rng(seed)
        count = self.config.gradient_accumulation
        shape = (count, BATCH) if count > 1 else (BATCH,)
        images = random.normal(size=(*shape, 3, 24, 24)).astype(np.float32) * np.float32(factor)
        labels = random.integers(0, CLASSES, shape).astype(np.int32)
        return float(self._step(Tensor(images), Tensor(labels)).asnumpy())

    @property
    def scale(self) -> float:
        return float(self.state.scaling.value.asnumpy())

    @property
    def skipped(self) -> int:
        return int(self.state.scaling.skipped.asnumpy())

    def kept(self) -> dict[str, np.ndarray]:
        """Return all that a step moves but the statistics of batch norm and the count of the schedule."""
        cells = [*self.state.networks, self.state.optimizer]
        everything = {name: value for cell in cells for name, value in values(cell).items()}
        return {
            name: value
            for name, value in everything.items()
            if name != "global_step" and not name.startswith(("bn1.moving_", "dropout."))
        }

    def global_step(self) -> int:
        return int(self.state.optimizer.global_step.asnumpy()[0])


def dynamic(*words: str, scale: float = HUGE) -> Training:
    """Return a training in O2 on CPU, with a dynamic loss scale."""
    words = ("--amp_level=O2", "--loss_scale_mode=dynamic", f"--loss_scale={scale}", *words)
    return Training(parse("--lr_max=0.1", "--num_classes=3", *words))


@pytest.mark.parametrize(("optimizer", "words"), [("momentum", ()), ("lamb", EVERYTHING)])
def test_a_step_that_overflows_leaves_weights_moments_and_average_alone(optimizer, words):
    training = dynamic(f"--optimizer={optimizer}", *words)
    before, mean = training.kept(), training.state.network.bn1.moving_mean.asnumpy().copy()
    assert np.isfinite(training.step(0))
    assert_same(training.kept(), before)
    assert (training.skipped, training.scale, training.global_step()) == (1, HUGE / 2, 1)
    assert not np.array_equal(training.state.network.bn1.moving_mean.asnumpy(), mean)  # the forward pass was right
    while training.skipped == training.global_step():
        training.step(1)
    after = training.kept()
    assert (training.scale, training.skipped) == (HUGE / 2**training.skipped, training.global_step() - 1)
    assert any(not np.array_equal(after[name], before[name]) for name in after)


def test_a_step_that_does_not_overflow_is_that_of_no_scale():
    trainings = [dynamic("--optimizer=adamw", *EVERYTHING, scale=scale) for scale in (1.0, 1024.0)]
    losses = [training.step(0) for training in trainings]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    left, right = (training.kept() for training in trainings)
    assert all(np.allclose(left[name], right[name], rtol=1e-4, atol=1e-6) for name in left)
    assert [training.skipped for training in trainings] == [0, 0]


def test_a_loss_that_is_nan_itself_is_not_skipped_as_no_scale_would_mend_it():
    training = dynamic(scale=1024.0)
    assert np.isnan(training.step(0, np.nan))
    assert training.skipped == 0
    assert np.isnan(training.state.network.fc.weight.asnumpy()).any()  # so that the next loss says it


def test_the_scale_doubles_after_2000_steps_without_an_overflow():
    scaling = DynamicLossScale(1024.0)
    ms.ops.assign(scaling.steps, Tensor(1998, ms.int32))
    gradients = (Tensor(np.ones(2, np.float32)),)
    assert [bool(scaling(Tensor(np.float32(1)), gradients)) for _ in range(2)] == [False, False]
    assert (float(scaling.value.asnumpy()), int(scaling.steps.asnumpy())) == (2048, 0)


def test_the_loss_scale_comes_back_from_a_checkpoint(tmp_path):
    training, other = dynamic(), dynamic(scale=8.0)
    for parameter, value in (
        (training.state.scaling.value, 4.0),
        (training.state.scaling.steps, 7),
        (training.state.scaling.skipped, 1),
    ):
        ms.ops.assign(parameter, Tensor(value, parameter.dtype))
    save_training(tmp_path / "a.ckpt", training.state, Position(0, 1, 5))
    load_training(other.state, tmp_path / "a.ckpt")
    assert (other.scale, other.skipped, int(other.state.scaling.steps.asnumpy())) == (4, 1, 7)
    fixed = replace(other.state, scaling=None)
    load_training(fixed, tmp_path / "a.ckpt")  # a training with a fixed scale passes over it


def test_a_fixed_scale_is_taken_off_the_gradients_of_an_optimizer_that_does_not_know_it():
    moments = []
    for device in ("CPU", "GPU"):  # float32 without a scale, and float16 with one
        config = parse_config(["--optimizer=adamw", "--lr_max=0.1", "--num_classes=3"], lambda _, each=device: each)
        training = Training(config)
        training.step(0)
        moments.append(training.kept()["adam_m.fc.weight"])
    assert np.abs(moments[0]).max() > 1e-5
    assert np.allclose(moments[0], moments[1], atol=0.01 * np.abs(moments[0]).max())


# The log


class Context(dict):
    __getattr__ = dict.__getitem__


def logged(scaling: DynamicLossScale, skipped: int, value: float) -> None:
    """Log the sixth step, after five that were logged already, of which some overflowed."""
    plan = TrainingPlan(np.full(20, 0.1, np.float32), 10, BATCH)
    with Progress(80, "train", stream=io.StringIO()) as progress:
        log = TrainingLog(plan, 5, progress, None, CLASSES, scaling=scaling)
        parameters = Context(batch_num=10, cur_epoch_num=1, net_outputs=Tensor(np.float32(1)))
        context = ms.train.RunContext(parameters)
        log.on_train_epoch_begin(Context(original_args=lambda: parameters))
        for step in (5, 10):
            parameters["cur_step_num"] = step
            if step == 10:
                ms.ops.assign(scaling.skipped, scaling.skipped + skipped)
                ms.ops.assign(scaling.value, Tensor(value, ms.float32))
            log.on_train_step_end(context)


def test_skipped_steps_are_counted_in_the_log(capsys):
    scaling = DynamicLossScale(1024.0)
    ms.ops.assign(scaling.skipped, Tensor(4, ms.int32))  # before a resume
    logged(scaling, 2, 256.0)
    assert capsys.readouterr().out.splitlines() == [
        "epoch: 1 step: 5, loss is 1.0",
        "epoch: 1 step: 10, loss is 1.0",
        "loss scale 256: 2 of the last 5 steps overflowed and had no effect on the weights, 6 in all",
    ]


def test_a_training_whose_steps_all_overflow_at_the_smallest_scale_ends():
    with pytest.raises(ValueError, match=r"^the gradients of all 5 last steps are NaN or infinite, and the loss scale"):
        logged(DynamicLossScale(1024.0), 5, 1.0)
