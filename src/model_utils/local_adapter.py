"""The place of this process among the processes of a run on this or several machines."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from src.model_utils.config import Config, ConfigError

if TYPE_CHECKING:
    from mindspore import Parameter


@dataclass(frozen=True)
class Group:
    """The processes that train or evaluate together.

    Args:
        rank: Number of this process, from 0.
        size: How many there are, 1 or more.
    """

    rank: int = 0
    size: int = 1


ALONE = Group()


def join_group(config: Config) -> Group:
    """Join the other processes of a distributed run, with data parallelism and averaged gradients.

    Args:
        config: With `is_distributed`; the device must be set already.

    Returns:
        The group; of this process alone when the run is not distributed.

    Raises:
        ConfigError: The run is distributed, but no launcher started this process.
    """
    if not config.is_distributed:
        return ALONE
    import mindspore as ms
    from mindspore import communication

    place = f"{os.environ.get('MS_SCHED_HOST')}:{os.environ.get('MS_SCHED_PORT')}"
    if os.environ.get("MS_ROLE") == "MS_WORKER":  # said beforehand: MindSpore lets no other thread run while it waits
        print(f"waiting at {place} for all {os.environ.get('MS_WORKER_NUM')} ranks to start", flush=True)
    try:
        communication.init()
    except (RuntimeError, ValueError, TypeError) as error:
        if "MS_ROLE" in os.environ:
            # MindSpore goes on with advice about its own logs.
            problem = str(error).partition("\n")[0].partition(" You can run command")[0].rstrip(".")
            raise ConfigError(
                f"the ranks do not meet at {place}: {problem}; see that all are started and that nobody else uses the "
                "port, or name another one as MASTER_PORT"
            ) from error
        if "RANK_TABLE_FILE" in os.environ:
            raise ConfigError(
                "RANK_TABLE_FILE is set, but MindSpore does not start by a rank table any more: leave it to "
                "bash scripts/run_distribute_train.sh RANK_TABLE_FILE DATA_PATH, which starts the ranks that it names"
            ) from error
        raise ConfigError(
            "is_distributed is true, but this process was started alone: start one process a device, for example with "
            "bash scripts/run_msrun.sh CPU 2 DATA_PATH, or msrun --worker_num=2 --local_worker_num=2 --join=True ..."
        ) from error
    group = Group(communication.get_rank(), communication.get_group_size())
    ms.set_auto_parallel_context(
        parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=group.size
    )
    if config.device_target == "CPU":
        # Joining gradients for fewer all-reduces copies them all, which takes longer (docs/dev/performance_history.md).
        ms.set_auto_parallel_context(comm_fusion={"openstate": False})
    return group


def sum_over_ranks(values: np.ndarray, group: Group) -> np.ndarray:
    """Add up an array over all processes; each of them calls this at the same point and gets the same sum.

    Args:
        values: Int64 or float64 of any shape, the same on every rank.
        group: The processes; a single one gets its values back.

    Returns:
        The sum, of the same type and shape; exact for int64, in the order of the ranks for float64.
    """
    if group.size == 1:
        return values
    if values.dtype == np.float64:
        return gather_from_ranks(values, group).sum(axis=0)
    from mindspore import Tensor, ops

    # All devices add float32, which holds whole numbers below 2^24: sums of single bytes of up to 65,793 ranks.
    parts = np.ascontiguousarray(values, "<i8").reshape(-1, 1).view(np.uint8).astype(np.float32)
    sums = ops.AllReduce()(Tensor(parts)).asnumpy().astype(np.int64)
    return (sums << np.arange(0, 64, 8)).sum(axis=1).reshape(values.shape)


def gather_from_ranks(values: np.ndarray, group: Group) -> np.ndarray:
    """Put an array of every process side by side; each of them calls this at the same point and gets the same.

    Args:
        values: Int64 or float64, of the same shape on every rank.
        group: The processes.

    Returns:
        Array (group.size, *values.shape) of the same type, to the last bit what each rank gave.
    """
    rows = np.zeros((group.size, *values.shape), values.dtype)
    rows[group.rank] = values
    # Each rank fills its own row: adding the bits of one value to those of zeros changes none.
    return sum_over_ranks(rows.view(np.int64), group).view(values.dtype)


def average_over_ranks(parameters: Sequence[Parameter], group: Group) -> None:
    """Give parameters the mean of their values on all ranks, by one reduction; all ranks call this at the same point.

    Args:
        parameters: Float32 parameters, in the same order on every rank.
        group: The processes.
    """
    if group.size == 1 or not parameters:
        return
    from mindspore import Tensor, ops

    values = np.concatenate([parameter.asnumpy().ravel() for parameter in parameters])
    means = ops.AllReduce()(Tensor(values)).asnumpy() / np.float32(group.size)
    ends = np.cumsum([parameter.size for parameter in parameters])
    for parameter, mean in zip(parameters, np.split(means, ends[:-1]), strict=True):
        # A graph with a loop in it never learns of set_data.
        ops.assign(parameter, Tensor(mean.reshape(parameter.shape)))
