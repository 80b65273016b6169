"""Hand-made features of (user, candidate) pairs, for boosted trees."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd

from benchmarks.peers.als_map import Settings as AlsSettings
from benchmarks.peers.als_map import mapped_factors
from coldstart_models.data.catalogue import Catalogue, FloatMatrix, IntArray
from coldstart_models.data.interactions import Histories, Interactions
from coldstart_models.peers.content import ContentVectors, Space
from coldstart_models.peers.neighbours import Member, member_scores
from coldstart_models.peers.popularity import NEIGHBOURS, similarity
from coldstart_models.peers.selection import standardized
from coldstart_models.ranker import RankingTask
from validation import tables

OF_ONE: Final = frozenset({"popularity", "price", "history"})
"""Features that are of the listing or of the user alone, by which trees may know past launches."""
AGGREGATIONS: Final = ("mean", "max", "best 3", "log-sum-exp 0.2")
USERS_AT_ONCE: Final = 1_000_000
"""Users × candidates whose features are held at once."""


@dataclass(frozen=True, slots=True)
class PairContent:
    """What a training set's items are, apart from events."""

    spaces: dict[Space, ContentVectors]
    full: FloatMatrix
    """(N, D) of :class:`ItemContent`."""


class PairFeatures:
    """Features of the users of a log and any items of its catalogue.

    Similarities of the candidate's content to the history, each space in four aggregations;
    the score of ALS factors mapped from content; popularity of the nearest warm items beside the
    other candidates', since it grows with the log; price, and its distance from what the user
    pays; shares of the history with the same first category, whole category and brand; length of
    the history.
    """

    def __init__(
        self, past: Interactions, content: PairContent, catalogue: Catalogue, *, seed: int
    ) -> None:
        """
        Args:
            past: the events that features may know.
            content: of the catalogue, which says nothing of events.
        """
        self._spaces = content.spaces
        self._members = [Member(space, way) for space in self._spaces for way in AGGREGATIONS]
        self._factors = mapped_factors(past, content.full, settings=AlsSettings(), seed=seed)
        self._past = past
        self._log_price = _log_price(catalogue.frame[tables.PRICE])
        categories = [
            tables.category_levels(path) for path in catalogue.frame[tables.CATEGORY].fillna("")
        ]
        self._labels = [
            _codes([levels[0] if levels else None for levels in categories]),
            _codes([" > ".join(levels) or None for levels in categories]),
            _codes(list(catalogue.frame[tables.BRAND])),
        ]

    @property
    def names(self) -> list[str]:
        """The features in the order of the columns."""
        likeness = [f"{member.space} {member.aggregation}" for member in self._members]
        others = ["als map", "popularity", "price", "price distance", "category", "whole category"]
        return [*likeness, *others, "brand", "history"]

    def blocks(self, task: RankingTask) -> Iterator[tuple[IntArray, FloatMatrix]]:
        """Rows of users (u,) and their features (u, C, F), in pieces that fit in memory."""
        together = max(1, USERS_AT_ONCE // max(1, len(task.candidates)))
        for start in range(0, len(task.user_index), together):
            rows = np.arange(start, min(start + together, len(task.user_index)))
            yield rows, self._features(task.of_users(rows))

    def _features(self, task: RankingTask) -> FloatMatrix:
        columns = member_scores(self._spaces, self._members, task)
        columns.append(standardized(self._factors.scores(task)))
        columns.append(np.broadcast_to(self._popularity(task.candidates), columns[0].shape))
        columns += self._prices(task)
        columns += [_share(labels, task) for labels in self._labels]
        size = np.log1p(task.histories.mask.sum(axis=1, keepdims=True)).astype(np.float32)
        columns.append(np.broadcast_to(size, columns[0].shape))
        return np.stack(columns, axis=2).astype(np.float32, copy=False)

    def _popularity(self, items: IntArray) -> FloatMatrix:
        """(C,) z-scores of the mean log popularity of each item's nearest items with events."""
        popularity = np.log1p(self._past.item_users())
        known = np.flatnonzero(popularity > 0)
        alike = similarity(list(self._spaces.values()), items, known)
        nearest = np.argsort(-alike, axis=1, kind="stable")[:, :NEIGHBOURS]
        beside = standardized(popularity[known][nearest].mean(axis=1)[None])
        return np.asarray(beside[0], np.float32)

    def _prices(self, task: RankingTask) -> list[FloatMatrix]:
        """Log price, and its distance from the mean of the history; NaN where unknown."""
        own = self._log_price[task.candidates]
        past = _mean_known(self._log_price, task.histories)
        shape = (len(past), len(own))
        return [np.broadcast_to(own, shape), np.abs(own[None, :] - past[:, None])]


def _log_price(prices: "pd.Series[float]") -> FloatMatrix:
    """(N,); NaN where there is no positive price."""
    values = prices.to_numpy(dtype=np.float64)
    known = np.isfinite(values) & (values > 0)
    return np.where(known, np.log(np.where(known, values, 1.0)), np.nan).astype(np.float32)


def _mean_known(values: FloatMatrix, histories: Histories) -> FloatMatrix:
    """(U,) mean of the history's known values; NaN where none is."""
    found = np.where(histories.mask, values[histories.item_index], np.nan)
    known = np.isfinite(found)
    total = np.where(known, found, 0.0).sum(axis=1)
    count = known.sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _codes(labels: list[str | None]) -> IntArray:
    """(N,) a number for each label, -1 for none."""
    codes, _ = pd.factorize(pd.Series(labels, dtype=object))
    return np.asarray(codes, np.int64)


def _share(codes: IntArray, task: RankingTask) -> FloatMatrix:
    """(U, C) share of the history that has the candidate's label; 0 for none."""
    count = int(codes.max(initial=-1)) + 1
    if not count:
        return np.zeros((len(task.user_index), len(task.candidates)), np.float32)
    mask = task.histories.mask
    rows, places = np.nonzero(mask)
    found = codes[task.histories.item_index[rows, places]]
    shares = np.zeros((len(task.user_index), count), np.float32)
    np.add.at(shares, (rows[found >= 0], found[found >= 0]), 1.0)
    shares /= np.maximum(mask.sum(axis=1, keepdims=True), 1)
    own = codes[task.candidates]
    return np.where(own >= 0, shares[:, own], 0.0).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Examples:
    """Rows of (user, candidate) pairs, user by user."""

    features: FloatMatrix
    """(R, F)"""
    chosen: IntArray
    """(R,) 1 where the user chose the candidate."""
    sizes: IntArray
    """Rows of each user; their sum is R."""
