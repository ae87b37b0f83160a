"""Xception by operators in C++, for training on CPU: MindSpore's own are many times slower than the memory allows."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mindspore import Tensor, nn

from src.cpu.cells import Operators, block, stem, tail
from src.Xception import Xception, check_images


class CpuXception(nn.Cell):
    """A network that computes by the operators in training, with the parameters of another one; else that other one.

    Args:
        network (Xception): the other one, with what is frozen frozen already. It keeps its parameters and their names,
            and its dropout and classifier are used, as they are when this cell is called for the first time.
        operators (Operators): the library.

    Inputs and outputs are those of the network, float32.

    Raises:
        ValueError: If a batch norm has another epsilon or momentum than the operators.
    """

    def __init__(self, network: Xception, operators: Operators):
        super().__init__(auto_prefix=False)
        self.network = network
        self.stem = stem(operators, network)
        is_symmetric = network.pool_padding == "symmetric"
        self.blocks = nn.CellList([block(operators, each, is_symmetric) for each in network.blocks], auto_prefix=False)
        self.tail = tail(operators, network)

    def construct(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.network(x)
        check_images(x.shape)
        x = self.stem(x)
        for each in self.blocks:
            x = each(x)
        return self.network.fc(self.network.dropout(self.tail(x)))


@contextmanager
def readable_failures(library: Path | None) -> Iterator[None]:
    """Turn the error of an operator that failed into one line that says why.

    Args:
        library: The operators; None for MindSpore's.

    Raises:
        ValueError: In the place of MindSpore's RuntimeError about an operator of the library.
    """
    try:
        yield
    except RuntimeError as error:
        if library is None or str(library) not in str(error):
            raise
        failure = ctypes.CDLL(str(library)).XceptionOperatorFailure
        failure.restype = ctypes.c_char_p
        raise ValueError(failure().decode(errors="replace")) from error
