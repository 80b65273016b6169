"""How fast a listing found its first customers, against what is usual.

Time is the shop's own (`data.shop_clock`): what everybody chose of everything between two moments.
So a listing of a busy season is not taken for one that sells well, and what is compared is a share
of what the shop sold. Of a listing's k first customers two spans d are compared with those of
earlier launches after as many customers, on a log scale that fits the log's own units: from the
first to the k-th, and of the later half of the customers, which tells a listing that picks up from
one that had its day.

    z_c = (μ_k − x) / σ_k,   x = log(0.3 + d / d̃_k),   d̃_k the median of earlier launches

A learner makes a bias of them: a listing that sold faster than usual is ranked higher, for
everybody. They say nothing of a single customer, nor where the log has no times or nothing is
counted.
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
OFFSET: Final = 0.3
"""Share of the usual span below which faster hardly counts: 1 tells the fastest launches hardly
apart, 0.1 ranks by hours what came in one day."""
PARTS: Final = 2
"""Spans looked at: of all customers, and of the later half of them."""
LEAST_SPAN: Final = 1e-6
"""Of choices; what is usual is more where it is known."""


class Pace(nn.Module):
    """The usual pace, learned in closed form."""

    usual: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        for name in ("usual", "mean", "deviation"):  # d̃, μ and σ at the GRID; 0 is unknown
            self.register_buffer(name, torch.zeros(PARTS, len(GRID)))

    def learn(self, training: TrainingSet) -> None:
        """Look at the launches of the training period."""
        if not training.timed or not len(training.interactions):
            return
        items = _launched(training)
        support = first_users(
            training.interactions, items, shots=GRID[-1] + 1, generator=np.random.default_rng(0)
        )
        _, starts, counts = np.unique(support.item_index, return_index=True, return_counts=True)
        moments = support.moments
        for place, number in enumerate(GRID):
            enough = starts[counts > number]  # as in a pool of listings with more than k customers
            last = moments[enough + number - 1]
            for part, since in enumerate((moments[enough], moments[enough + (number - 1) // 2])):
                self._look_at(part, place, last - since)

    def _look_at(self, part: int, place: int, spans: "np.typing.NDArray[np.float64]") -> None:
        """Keep what is usual of one part at one place of the GRID."""
        median = float(np.median(spans)) if len(spans) >= FEWEST else 0.0
        if median > 0:
            logs = np.log(OFFSET + spans / median)
            self.usual[part, place], self.mean[part, place] = median, float(logs.mean())
            self.deviation[part, place] = float(logs.std())
        elif place:  # too few launches with so many customers: as with fewer
            for each in self._learned():
                each[part, place] = each[part, place - 1]

    def forward(self, count: Tensor, span: Tensor) -> Tensor:
        """(N, PARTS): z of listings with `count` (N,) customers within a `span` (N, PARTS)."""
        usual, mean, deviation = (self._at(count, each) for each in self._learned())
        known = (count >= GRID[0])[:, None] & (deviation > 0) & span.isfinite()
        logs = torch.log(OFFSET + span / usual.clamp_min(LEAST_SPAN))
        faster = (mean - logs) / torch.where(known, deviation, torch.ones_like(deviation))
        return torch.where(known, faster.clamp(-FARTHEST, FARTHEST), torch.zeros_like(faster))

    def relative(self, count: Tensor, span: Tensor) -> Tensor:
        """(N,): the whole span over the usual one of as many customers; 1 where nothing tells."""
        usual, _, deviation = (self._at(count, each)[:, 0] for each in self._learned())
        whole = span[:, 0]
        known = (count >= GRID[0]) & (deviation > 0) & whole.isfinite()
        return torch.where(known, whole / usual.clamp_min(LEAST_SPAN), torch.ones_like(whole))

    def _learned(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.usual, self.mean, self.deviation

    def _at(self, count: Tensor, values: Tensor) -> Tensor:
        """(N, PARTS) values of the GRID at log counts; 0 after a place that is unknown."""
        grid = torch.tensor(GRID, dtype=torch.float32).log()
        logs = count.clamp(GRID[0], GRID[-1]).to(torch.float32).log()
        right = torch.searchsorted(grid, logs).clamp(1, len(GRID) - 1)
        left = right - 1
        share = ((logs - grid[left]) / (grid[right] - grid[left]))[:, None]
        between = values[:, left].T * (1 - share) + values[:, right].T * share
        return between * (self.deviation[:, left].T > 0)


def spans(owner: Tensor, moments: Tensor, *, num_items: int) -> tuple[Tensor, Tensor]:
    """(num_items,) customers of each listing and (num_items, PARTS) spans in choices of the shop.

    Args:
        owner: (P,) row of the listing each customer chose.
        moments: (P,) when, by the shop's clock.
    """
    count = torch.bincount(owner, minlength=num_items)
    found = torch.zeros(num_items, PARTS)
    if not len(owner):
        return count.float(), found
    early = moments.argsort(stable=True)
    ordered = moments[early[owner[early].argsort(stable=True)]]
    start = count.cumsum(0) - count
    last = ordered[(start + count - 1).clamp(0, len(ordered) - 1)]
    for part, since in enumerate((start, start + (count - 1).clamp_min(0) // 2)):
        found[:, part] = (last - ordered[since.clamp_max(len(ordered) - 1)]).float()
    return count.float(), found * (count > 0)[:, None]


def _launched(training: TrainingSet) -> "np.typing.NDArray[np.int64]":
    """Rehearsable items that were launched within the log; all of them where these are few."""
    times = training.interactions.time_us
    opening = times.min() + LAUNCHED * (times.max() - times.min())
    first = np.where(training.rehearsable, first_available_us(training), END_OF_TIME)
    launched = np.flatnonzero((first >= opening) & (first < END_OF_TIME))
    return launched if len(launched) >= FEWEST else np.flatnonzero(training.rehearsable)
