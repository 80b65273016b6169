"""How fast a listing found its first customers, against what is usual.

Of a listing's k first customers the time from the first to the k-th, d, is compared with that of
earlier launches after as many customers, on a log scale that fits the log's own units:

    z_c = (μ_k − x) / σ_k,   x = log(1 + d / d̃_k),   d̃_k the median of earlier launches

A learner makes a bias of it: a listing that sold faster than usual is ranked higher, for everybody.
It says nothing of a single customer, nor where the log has no times.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from coldstart_models.data.episodes import first_available_us, first_users
from coldstart_models.data.interactions import END_OF_TIME
from coldstart_models.ranker import TrainingSet

GRID: Final = (2, 3, 5, 10, 20, 50)
"""Numbers of customers at which earlier launches are looked at; between them it is interpolated."""
FEWEST: Final = 20
"""Launches below which a number of customers is not looked at."""
LAUNCHED: Final = 0.35
"""Share of the training period after which an item's first event counts as its launch: before it,
the log itself may have begun in the middle of the item's life."""
FARTHEST: Final = 3.0


class Pace(nn.Module):
    """The usual pace, learned in closed form."""

    median: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("median", "mean", "deviation"):  # d̃, μ and σ at the GRID; 0 is unknown
            self.register_buffer(name, torch.zeros(len(GRID)))

    def learn(self, training: TrainingSet) -> None:
        """Look at the launches of the training period."""
        if not training.timed or not len(training.interactions):
            return
        items = _launched(training)
        support = first_users(
            training.interactions, items, shots=GRID[-1] + 1, generator=np.random.default_rng(0)
        )
        _, starts, counts = np.unique(support.item_index, return_index=True, return_counts=True)
        times = support.time_us
        for place, number in enumerate(GRID):
            enough = starts[counts > number]  # as in a pool of listings with more than k customers
            spans = (times[enough + number - 1] - times[enough]).astype(np.float64)
            median = float(np.median(spans)) if len(spans) >= FEWEST else 0.0
            if median > 0:
                logs = np.log1p(spans / median)
                self.median[place], self.mean[place] = median, float(logs.mean())
                self.deviation[place] = float(logs.std())
            elif place:  # too few launches with so many customers: as with fewer
                for each in self._usual():
                    each[place] = each[place - 1]

    def forward(self, count: Tensor, span_us: Tensor) -> Tensor:
        """(N,): z of listings with `count` (N,) customers within `span_us` (N,)."""
        median, mean, deviation = (self._at(count, each) for each in self._usual())
        known = (count >= GRID[0]) & (deviation > 0)
        logs = torch.log1p(span_us / median.clamp_min(1.0))
        faster = (mean - logs) / torch.where(known, deviation, torch.ones_like(deviation))
        return torch.where(known, faster.clamp(-FARTHEST, FARTHEST), torch.zeros_like(faster))

    def relative(self, count: Tensor, span_us: Tensor) -> Tensor:
        """(N,): the span over the usual one of as many customers; 1 where nothing tells."""
        median, _, deviation = (self._at(count, each) for each in self._usual())
        known = (count >= GRID[0]) & (deviation > 0)
        return torch.where(known, span_us / median.clamp_min(1.0), torch.ones_like(span_us))

    def _usual(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.median, self.mean, self.deviation

    def _at(self, count: Tensor, values: Tensor) -> Tensor:
        """(N,) values of the GRID at log counts; 0 after a place that is unknown."""
        grid = torch.tensor(GRID, dtype=torch.float32).log()
        logs = count.clamp(GRID[0], GRID[-1]).to(torch.float32).log()
        right = torch.searchsorted(grid, logs).clamp(1, len(GRID) - 1)
        left = right - 1
        share = (logs - grid[left]) / (grid[right] - grid[left])
        between = values[left] * (1 - share) + values[right] * share
        return between * (self.deviation[left] > 0)


def spans(owner: Tensor, time_us: Tensor, *, num_items: int) -> tuple[Tensor, Tensor]:
    """(num_items,) customers of each listing and the time between the first and the last.

    Args:
        owner: (P,) row of the listing each customer chose.
        time_us: (P,) when.
    """
    count = torch.bincount(owner, minlength=num_items).to(torch.float32)
    nothing = torch.zeros(num_items, dtype=torch.int64)
    first = nothing.scatter_reduce(0, owner, time_us, "amin", include_self=False)
    last = nothing.scatter_reduce(0, owner, time_us, "amax", include_self=False)
    return count, (last - first).to(torch.float32)


def _launched(training: TrainingSet) -> "np.typing.NDArray[np.int64]":
    """Warm items that were launched within the log; all warm ones where these are few."""
    times = training.interactions.time_us
    opening = times.min() + LAUNCHED * (times.max() - times.min())
    first = np.where(training.warm, first_available_us(training), END_OF_TIME)
    launched = np.flatnonzero((first >= opening) & (first < END_OF_TIME))
    return launched if len(launched) >= FEWEST else np.flatnonzero(training.warm)
