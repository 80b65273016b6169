"""Where a model is good: recall by category of the item and by length of the history."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from coldstart_models.benchmark_result import DIGITS, Breakdown, Measurement
from coldstart_models.data.catalogue import BoolArray, Catalogue, IntArray
from coldstart_models.metrics import RECALL, USER_METRICS
from validation import tables

MAX_GROUPS: Final = 12
OTHER: Final = "other"
HISTORY_BOUNDS: Final = (1, 5, 20, 50)
"""The shortest history, in distinct items, of each bucket."""
CATEGORY: Final = "category"
HISTORY: Final = "history"


@dataclass(frozen=True, slots=True)
class Groups:
    """Items by category."""

    names: list[str]
    of_item: IntArray
    """(N,) group number of each item, -1 for none."""


def category_groups(catalogue: Catalogue, among: BoolArray) -> Groups:
    """Categories at the first level of the path that tells the items `among` apart.

    The largest groups keep their name, the others and items without one are ``other``.
    No group at all where every path is alike or absent.
    """
    paths = [tables.category_levels(path) for path in catalogue.frame[tables.CATEGORY].fillna("")]
    rows = np.flatnonzero(among)
    for level in range(max((len(paths[row]) for row in rows), default=0)):
        labels = [path[level] if len(path) > level else OTHER for path in paths]
        names, counts = np.unique([labels[row] for row in rows], return_counts=True)
        if len(set(names) - {OTHER}) > 1:
            return _grouped(labels, dict(zip(names.tolist(), counts.tolist(), strict=True)))
    return Groups([], np.full(len(catalogue), -1, np.int64))


def _grouped(labels: list[str], counts: dict[str, int]) -> Groups:
    """The groups of the most frequent labels."""
    ranked = sorted((name for name in counts if name != OTHER), key=lambda n: (-counts[n], n))
    names = [*ranked[:MAX_GROUPS], OTHER]
    number = {name: index for index, name in enumerate(names)}
    other = number[OTHER]
    return Groups(names, np.array([number.get(label, other) for label in labels], np.int64))


def category_breakdown(
    model: str, groups: Groups, measured: Sequence[Measurement]
) -> list[Breakdown]:
    """Recall@20 over the pairs of each category that has truth."""
    if not groups.names:
        return []
    hits = np.sum([one.group_hits for one in measured], axis=0)
    truths = np.sum([one.group_truths for one in measured], axis=0)
    return [
        Breakdown(
            model,
            CATEGORY,
            name,
            round(float(hits[index] / truths[index]), DIGITS),
            round(truths[index] / len(measured)),
        )
        for index, name in enumerate(groups.names)
        if truths[index] > 0
    ]


def history_breakdown(model: str, measured: Sequence[Measurement]) -> list[Breakdown]:
    """Mean Recall@20 over the users of each history length."""
    sizes = np.concatenate([one.history_size for one in measured])
    recall = np.concatenate([one.values[:, USER_METRICS.index(RECALL)] for one in measured])
    bucket = np.searchsorted(HISTORY_BOUNDS, sizes, side="right") - 1
    found = []
    for index, name in enumerate(history_names()):
        inside = bucket == index
        if inside.any():
            count = round(inside.sum() / len(measured))
            value = round(float(recall[inside].mean()), DIGITS)
            found.append(Breakdown(model, HISTORY, name, value, count))
    return found


def history_names() -> list[str]:
    """Names of the history buckets: ``1–4``, …, ``50+``."""
    pairs = pairwise(HISTORY_BOUNDS)
    return [f"{low}–{high - 1}" for low, high in pairs] + [f"{HISTORY_BOUNDS[-1]}+"]
