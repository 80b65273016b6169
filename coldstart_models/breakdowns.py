"""Where a model is good: by the item's category and warmth, the user's history and its domains."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np

from coldstart_models.benchmark_result import DIGITS, Breakdown, Measurement
from coldstart_models.data.catalogue import BoolArray, Catalogue, IntArray
from coldstart_models.data.pools import warmth_names
from coldstart_models.metrics import NDCG, RECALL, USER_METRICS, FloatArray
from validation import tables

MAX_GROUPS: Final = 12
OTHER: Final = "other"
HISTORY_BOUNDS: Final = (1, 5, 20, 50)
"""The shortest history, in distinct items, of each bucket."""
CATEGORY: Final = "category"
HISTORY: Final = "history"
DOMAIN: Final = "domain"
WARMTH: Final = "warmth"
NEW: Final = "new"
"""The warmth of the cold pool's items."""
HOME_KNOWN: Final = "has chosen in it"
STRANGER: Final = "only in other domains"


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
            recall=round(float(hits[index] / truths[index]), DIGITS),
            ndcg=None,
            count=round(truths[index] / len(measured)),
        )
        for index, name in enumerate(groups.names)
        if truths[index] > 0
    ]


def history_breakdown(model: str, measured: Sequence[Measurement]) -> list[Breakdown]:
    """Means over the users of each history length."""
    sizes = np.concatenate([one.history_size for one in measured])
    bucket = np.searchsorted(HISTORY_BOUNDS, sizes, side="right") - 1
    values = np.concatenate([one.values for one in measured])
    groups = {name: values[bucket == index] for index, name in enumerate(history_names())}
    return _over_users(model, HISTORY, groups, seeds=len(measured))


def domain_breakdown(model: str, measured: Sequence[Measurement]) -> list[Breakdown]:
    """Means over the users who have chosen in the ranked domain, and over those who have not.

    Nothing where there are none of the latter.
    """
    stranger = np.concatenate([one.stranger for one in measured])
    if not stranger.any():
        return []
    values = np.concatenate([one.values for one in measured])
    groups = {HOME_KNOWN: values[~stranger], STRANGER: values[stranger]}
    return _over_users(model, DOMAIN, groups, seeds=len(measured))


def warmth_breakdown(
    model: str, cold: Sequence[Measurement], warm: Sequence[Measurement]
) -> list[Breakdown]:
    """Means over users on items by how many users these had, ranked among their like.

    Nothing where no warm item was measured.
    """
    if not warm:
        return []
    groups = {NEW: np.concatenate([one.values for one in cold])}
    for name in warmth_names():
        parts = [one.cells[name] for one in warm if name in one.cells]
        if parts:
            groups[name] = np.concatenate(parts)
    return _over_users(model, WARMTH, groups, seeds=len(cold))


def _over_users(
    model: str, by: str, groups: Mapping[str, FloatArray], *, seeds: int
) -> list[Breakdown]:
    """Each group's means, from (U, 4) values of every seed; users without truth are NaN."""
    found = []
    for name, values in groups.items():
        known = values[~np.isnan(values[:, USER_METRICS.index(NDCG)])]
        if len(known):
            recall, ndcg = (
                known[:, USER_METRICS.index(metric)].mean() for metric in (RECALL, NDCG)
            )
            found.append(
                Breakdown(
                    model,
                    by,
                    name,
                    recall=round(float(recall), DIGITS),
                    ndcg=round(float(ndcg), DIGITS),
                    count=round(len(known) / seeds),
                )
            )
    return found


def history_names() -> list[str]:
    """Names of the history buckets: ``1–4``, …, ``50+``."""
    pairs = pairwise(HISTORY_BOUNDS)
    return [f"{low}–{high - 1}" for low, high in pairs] + [f"{HISTORY_BOUNDS[-1]}+"]
