"""What dates say, kept apart: how long a listing has been on offer, how fast it started.

A pooled set of new listings rewards mere age: whoever was listed first had longest to be
chosen. The models named ``+date`` may use that; the others never see a date.
"""

import numpy as np
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import IntArray
from coldstart_models.ranker import RankingTask
from coldstart_models.siamese.scorer import DAY_US


class DateTerm(nn.Module):
    """Two weights: for the rank of the listing date, and for the speed of the first sales."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor([0.6, 0.6]))

    def forward(self, features: Tensor) -> Tensor:
        """(C,) from standardised features (C, 2)."""
        result: Tensor = features @ self.weights
        return result


def date_features(task: RankingTask, first_us: IntArray) -> Tensor:
    """(C, 2): rank of being early in the pool, and log speed of the first k sales.

    Args:
        task: its support gives the times of the first sales.
        first_us: (num_items,) when each item was first offered.
    """
    offered = first_us[task.candidates]
    exposure = np.argsort(np.argsort(-offered, kind="stable"), kind="stable").astype(np.float64)
    speed = np.zeros(len(task.candidates))
    if task.support is not None and len(task.support.item_index):
        column = np.searchsorted(task.candidates, task.support.item_index)
        last = np.zeros(len(task.candidates), np.int64)
        np.maximum.at(last, column, task.support.time_us)
        count = np.bincount(column, minlength=len(task.candidates))
        days = np.maximum(last - offered, 0) / DAY_US
        speed = np.where(count > 0, np.log(np.maximum(count, 1) / (days + 1.0)), 0.0)
    stacked = np.stack([_standardise(exposure), _standardise(speed)], axis=1)
    return torch.from_numpy(stacked.astype(np.float32))


def _standardise(values: "np.typing.NDArray[np.float64]") -> "np.typing.NDArray[np.float64]":
    deviation = values.std()
    return np.asarray((values - values.mean()) / (deviation if deviation > 1e-9 else 1.0))
