"""The place of this process among the processes of a run on this or several machines."""

from __future__ import annotations

from dataclasses import dataclass

from src.model_utils.config import Config, ConfigError


@dataclass(frozen=True)
class Group:
    """The processes that train or evaluate together.

    Args:
        rank: Number of this process, from 0.
        size: How many there are, 1 or more.
    """

    rank: int = 0
    size: int = 1


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
        return Group()
    import mindspore as ms
    from mindspore import communication

    try:
        communication.init()
    except (RuntimeError, ValueError, TypeError) as error:
        raise ConfigError(
            "is_distributed is true, but this process was started alone: start one process a device, for example with "
            "msrun --worker_num=2 --local_worker_num=2 --join=True train.py --is_distributed=True"
        ) from error
    group = Group(communication.get_rank(), communication.get_group_size())
    ms.set_auto_parallel_context(
        parallel_mode=ms.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=group.size
    )
    return group
