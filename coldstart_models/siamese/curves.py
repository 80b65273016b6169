"""Curves of learning for TensorBoard: loss, quality on later launches, the weight of every term."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from feature_repo.home import Home

Curves = Callable[[str, float, int], None]
"""Told a curve's name, its value and the step."""


def run_folder(home: Home, name: str, now: datetime) -> Path:
    """Where a run's curves are, beside those of other runs."""
    return home.curves / f"{now:%Y%m%d-%H%M%S}-{name}"


@contextmanager
def tensorboard(folder: Path) -> Iterator[Curves]:
    """Write curves into a folder that ``tensorboard --logdir`` reads."""
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))
    try:
        yield lambda name, value, step: writer.add_scalar(name, value, step)
    finally:
        writer.close()
