"""Pools: which users rank which candidates, what counts as found, and what is left out.

A pool is one ranking problem of a split. Every pool keeps the same users' rule: those with
a history and at least one candidate in the truth.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import pandas as pd
from scipy import sparse

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.data.episodes import first_users
from coldstart_models.data.splits import UNKNOWN_TIME, Split
from coldstart_models.errors import NotEnoughData
from coldstart_models.ranker import RankingTask

COLD: Final = "cold"
MONTH: Final = "month"
FULL: Final = "full"
WARM: Final = "warm"
MIN_CANDIDATES: Final = 2
MIN_MONTH_ITEMS: Final = 2
WARMTH_BOUNDS: Final = (0, 1, 6, 21)
"""The fewest distinct users, before the cutoff, of each cell of warm items."""
NO_WARM_TRUTH: Final = (
    "a random-items split trains on every event of the warm items, so none is left to predict; "
    "use a cutoff"
)
NO_NEW_WARM_CHOICE: Final = "nobody chose a warm item for the first time after the cutoff"


def shots_pool(shots: int) -> str:
    """The pool of k shots: cold items with more than k users."""
    return f"{COLD}>{shots}"


@dataclass(frozen=True, slots=True)
class Pool:
    """One ranking problem: a task, its answer and its exclusions."""

    name: str
    shots: int
    task: RankingTask
    chosen: Any
    """(U, C) CSR of bool: the truth."""
    excluded: Any
    """(U, C) CSR of bool: candidates not ranked for a user; disjoint from the truth."""
    month: IntArray | None = None
    """(C,) the calendar month of each candidate's launch, as year × 12 + month − 1, -1
    unknown; set where users rank the launches of one month at a time."""
    cells: Mapping[str, IntArray] = field(default_factory=dict)
    """Columns of candidates that are also ranked among themselves, by what they have in common."""

    def of_users(self, rows: IntArray) -> "Pool":
        """The same problem for some of its users, by row number."""
        return replace(
            self,
            task=self.task.of_users(rows),
            chosen=self.chosen[rows],
            excluded=self.excluded[rows],
        )


@dataclass(frozen=True, slots=True)
class Skipped:
    """A pool or model that was not measured, and why."""

    what: str
    reason: str


def build_pools(
    split: Split, *, shots: Iterable[int], seed: int
) -> tuple[list[Pool], list[Skipped]]:
    """Every pool of a split, `cold` first, and those that cannot be had.

    The support of k shots follows time, or the sequence; without either, a random order by
    `seed`. Raises NotEnoughData where no user has a history and a cold item in the truth.
    """
    cold = cold_pool(split)
    pools, skipped = [cold], []
    for count in sorted({count for count in shots if count > 0}):
        found = shots_pools(split, shots=count, seed=seed)
        if found:
            pools.extend(found)
        else:
            reason = (
                f"fewer than {MIN_CANDIDATES} cold items have more than {count} users, or nobody "
                "else with a history chose one of them"
            )
            skipped.append(Skipped(shots_pool(count), reason))
    for name, pool, reason in (
        (MONTH, month_pool(split, cold), "no launch dates, or no month with two launches"),
        (FULL, full_pool(split, cold), ""),
        (WARM, warm_pool(split), NO_WARM_TRUTH if split.seeded else NO_NEW_WARM_CHOICE),
    ):
        if pool is None:
            skipped.append(Skipped(name, reason))
        else:
            pools.append(pool)
    return pools, skipped


def cold_pool(split: Split) -> Pool:
    """All cold items in one pool, zero shots."""
    pool = _pool(split, COLD, np.flatnonzero(split.cold), split.truth.matrix())
    if pool is None and split.cold.sum() == 1:
        raise NotEnoughData(
            f"{split.name} leaves one cold item, and every ranking of one is right; hold out more, "
            "or cut earlier"
        )
    if pool is None:
        raise NotEnoughData(
            f"{split.name} leaves no user with a history and a cold item in the truth: "
            f"{len(split.training)} events on {int(split.warm.sum())} warm items, "
            f"{len(split.truth)} on {int(split.cold.sum())} cold ones"
        )
    return pool


def shots_pools(split: Split, *, shots: int, seed: int) -> list[Pool]:
    """The pool of k shots, without its support and with it; [] where nobody is left.

    Candidates are the cold items with more than k distinct users. Their first k users
    are the support: these pairs leave the truth and those users' rankings, at zero shots too.
    """
    users_of = split.truth.item_users()
    candidates = np.flatnonzero(split.cold & (users_of > shots))
    if not len(candidates):
        return []
    generator = np.random.default_rng([0 if split.timed else seed, 13])
    support = first_users(split.truth, candidates, shots=shots, generator=generator)
    support = replace(support, histories=split.training.histories(support.user_index))
    shape = (split.truth.num_users, split.truth.num_items)
    marks = np.ones(len(support.item_index), bool)
    supporting = sparse.csr_matrix((marks, (support.user_index, support.item_index)), shape=shape)
    pool = _pool(split, shots_pool(shots), candidates, split.truth.matrix(), supporting)
    if pool is None:
        return []
    return [pool, replace(pool, shots=shots, task=replace(pool.task, support=support))]


def month_pool(split: Split, cold: Pool) -> Pool | None:
    """The cold pool, ranked within the launches of each calendar month (UTC)."""
    if not split.dated:
        return None
    moments = split.available_us[cold.task.candidates]
    known = moments != UNKNOWN_TIME
    stamps = pd.DatetimeIndex(np.where(known, moments, 0).astype("datetime64[us]"))
    month = np.where(known, stamps.year * 12 + stamps.month - 1, -1).astype(np.int64)
    values, counts = np.unique(month[known], return_counts=True)
    month[~np.isin(month, values[counts >= MIN_MONTH_ITEMS])] = -1
    inside = cold.chosen[:, np.flatnonzero(month >= 0)].getnnz(axis=1) > 0
    if not inside.any():
        return None
    kept = cold.of_users(np.flatnonzero(inside))
    return replace(kept, name=MONTH, month=month)


def full_pool(split: Split, cold: Pool) -> Pool | None:
    """Every item of the ranked domain, warm and cold, but what the user had chosen before.

    Users are those of the cold pool; their truth also holds the warm items that they
    chose for the first time after the cutoff, where the cut is in time.
    """
    history = split.training.matrix()
    later = _minus(split.truth.matrix() + split.warm_truth.matrix(), history)
    candidates = np.flatnonzero(split.target & (split.warm | split.cold))
    return _pool(split, FULL, candidates, later, history, users=cold.task.user_index)


def warm_pool(split: Split) -> Pool | None:
    """Warm items alone; truth is what a user chose for the first time after the cutoff.

    Its cells are the items with few users before the cutoff, with more, and with many.
    """
    history = split.training.matrix()
    later = _minus(split.warm_truth.matrix(), history)
    candidates = np.flatnonzero(split.target & split.warm)
    pool = _pool(split, WARM, candidates, later, history)
    if pool is None:
        return None
    users = split.training.item_users()[candidates]
    cell = np.searchsorted(WARMTH_BOUNDS, users, side="right") - 1
    names = warmth_names()
    found = {name: np.flatnonzero(cell == number) for number, name in enumerate(names)}
    return replace(pool, cells={name: inside for name, inside in found.items() if len(inside)})


def warmth_names() -> list[str]:
    """Names of the warm pool's cells: ``0``, ``1–5``, …, ``21+``."""
    spans = [
        str(low) if high == low + 1 else f"{low}–{high - 1}"
        for low, high in pairwise(WARMTH_BOUNDS)
    ]
    return [*spans, f"{WARMTH_BOUNDS[-1]}+"]


def _pool(
    split: Split,
    name: str,
    candidates: IntArray,
    later: Any,
    excluded: Any | None = None,
    *,
    users: IntArray | None = None,
) -> Pool | None:
    """The pool of (num_users, N) matrices; None where no user has a history and truth, or a single
    candidate leaves nothing to rank."""
    if len(candidates) < MIN_CANDIDATES:
        return None
    chosen = later[:, candidates].astype(bool)
    outside = sparse.csr_matrix(chosen.shape, dtype=bool)
    if excluded is not None:
        outside = excluded[:, candidates].astype(bool)
        chosen = _minus(chosen, outside)
    chosen.eliminate_zeros()
    has_history: BoolArray = split.training.matrix().getnnz(axis=1) > 0
    ranked = np.flatnonzero(has_history & (chosen.getnnz(axis=1) > 0))
    if users is not None:
        ranked = np.intersect1d(ranked, users)
    if not len(ranked):
        return None
    task = RankingTask(ranked, split.training.histories(ranked), candidates)
    return Pool(name, 0, task, chosen[ranked], outside[ranked])


def _minus(chosen: Any, removed: Any) -> Any:
    """Entries of `chosen` that are not in `removed`, as CSR of bool."""
    kept = chosen.astype(np.int8)
    kept.data[:] = 1
    kept = (kept - kept.multiply(removed.astype(bool).astype(np.int8))).tocsr()
    kept.eliminate_zeros()
    return kept.astype(bool)
