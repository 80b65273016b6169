"""A generated log visit by visit: what was on offer, shown, clicked, and clicked before."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from feature_repo.catalogs.marketplace.choices import BEHAVIOUR, freshness
from feature_repo.catalogs.marketplace.stock import Floats, Listing
from feature_repo.catalogs.marketplace.tastes import Shoppers
from feature_repo.catalogs.marketplace.visits import WEEK_US
from validation import tables

NEVER: Final = -1e9
PAIR: Final = [tables.SESSION_ID, tables.ITEM_ID]


@dataclass(frozen=True, slots=True)
class ShownLog:
    """V visits and the S listings that were shown on them."""

    visit: Tensor
    """(S,)"""
    item: Tensor
    """(S,)"""
    clicked: Tensor
    """(S,) bool"""
    seen: Tensor
    """(S,) bool: clicked on an earlier visit."""
    user: Tensor
    """(V,)"""
    home: Tensor
    """(V,) bool: which side of the shop."""
    attraction: Tensor
    """(V, N): what the search's log weight has beside the utility; NEVER where not on offer."""
    of_home: Tensor
    """(N,) bool"""

    @property
    def offered(self) -> Tensor:
        """(V, N) bool"""
        return self.attraction > NEVER

    @classmethod
    def of(
        cls, events: pd.DataFrame, shoppers: Shoppers, stock: Sequence[Listing], *, start_us: int
    ) -> "ShownLog":
        """
        Args:
            events: canonical, impressions among them.
            start_us: the log's beginning, µs since 1970 UTC.
        """
        clicks = events.loc[events[tables.EVENT_TYPE] == tables.CLICK, PAIR]
        shown = events[events[tables.EVENT_TYPE] == tables.IMPRESSION]
        visit, _ = pd.factorize(shown[tables.SESSION_ID])
        user = pd.Index(shoppers.user_ids).get_indexer(pd.Index(shown[tables.USER_ID]))
        item = pd.Index([one.item_id for one in stock]).get_indexer(pd.Index(shown[tables.ITEM_ID]))
        clicked = pd.MultiIndex.from_frame(shown[PAIR]).isin(pd.MultiIndex.from_frame(clicks))
        times = shown[tables.EVENT_TIMESTAMP].dt.tz_localize(None).to_numpy("datetime64[us]")
        week = np.full(visit.max() + 1, np.inf)
        np.minimum.at(week, visit, (times.astype(np.int64) - start_us) / WEEK_US)
        of_visit, home = np.zeros(len(week), np.int64), np.array([one.is_home for one in stock])
        of_visit[visit] = user
        side = np.zeros(len(week), bool)
        side[visit] = home[item]
        now = np.zeros((len(week), len(stock)), bool)
        now[visit[clicked], item[clicked]] = True
        earlier = _earlier(now, of_visit, week)
        return cls(
            torch.from_numpy(visit),
            torch.from_numpy(item),
            torch.from_numpy(clicked),
            torch.from_numpy(earlier[visit, item]),
            torch.from_numpy(of_visit),
            torch.from_numpy(side),
            torch.from_numpy(_attraction(week, side[:, None] == home, earlier, stock)),
            torch.from_numpy(home),
        )


def _earlier(clicked: BoolArray, user: IntArray, week: Floats) -> BoolArray:
    """(V, N): which listings a visit's shopper had clicked before it; `clicked` is on it."""
    earlier = np.zeros_like(clicked)
    known = np.zeros((user.max() + 1, clicked.shape[1]), bool)
    for visit in np.argsort(week, kind="stable"):
        earlier[visit] = known[user[visit]]
        known[user[visit]] |= clicked[visit]
    return earlier


def _attraction(
    week: Floats, side: BoolArray, seen: BoolArray, stock: Sequence[Listing]
) -> FloatMatrix:
    """(V, N)"""
    listed = np.array([one.listed_week for one in stock])
    retired = np.array([one.retired_week for one in stock])
    on_offer = side & (listed <= week[:, None]) & (week[:, None] < retired)
    weight = (
        np.log(freshness(week[:, None] - listed)) - BEHAVIOUR.search * BEHAVIOUR.satiation * seen
    )
    return np.where(on_offer, weight, NEVER).astype(np.float32)
