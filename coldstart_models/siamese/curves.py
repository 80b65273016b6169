"""Curves of learning for TensorBoard: loss, quality on later launches, the weight of every term."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

Curves = Callable[[str, float, int], None]
"""Told a curve's name, its value and the step."""


@contextmanager
def tensorboard(folder: Path) -> Iterator[Curves]:
    """Write curves into a folder that ``tensorboard --logdir`` reads."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    try:
        yield lambda name, value, step: writer.add_scalar(name, value, step)
    finally:
        writer.close()
