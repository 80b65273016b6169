"""Curves of learning for TensorBoard: loss, quality on later launches, the weight of every term."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from feature_repo.home import Home

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

Curves = Callable[[str, float, int], None]
"""Told a curve's name, its value and the step."""


def run_folder(home: Home, name: str, now: datetime) -> Path:
    """Where a run's curves are, beside those of other runs."""
    return home.curves / f"{now:%Y%m%d-%H%M%S}-{name}"


@contextmanager
def tensorboard(folder: Path) -> Iterator[Curves]:
    """Write curves into a folder that ``tensorboard --logdir`` reads, made with the first point:
    a run that ends before it has learned anything leaves none."""
    with ExitStack() as stack:

        @cache
        def writer() -> "SummaryWriter":
            from torch.utils.tensorboard import SummaryWriter

            found: SummaryWriter = stack.enter_context(SummaryWriter(str(folder)))
            return found

        yield lambda name, value, step: writer().add_scalar(name, value, step)
