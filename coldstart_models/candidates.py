"""Which listings may be recommended: the pool and what the request filters out of it."""

from collections.abc import Collection
from typing import Final

import numpy as np
import pandas as pd

from coldstart_models.data.catalogue import IntArray
from coldstart_models.snapshot import Snapshot
from validation import tables

NEW: Final = "new"
ALL: Final = "all"


def pool_rows(
    snapshot: Snapshot,
    pool: str,
    *,
    category: str | None = None,
    max_price: float | None = None,
    exclude: Collection[str] = (),
) -> IntArray:
    """Rows of the available items of a pool that pass the filters."""
    if pool not in (NEW, ALL):
        raise ValueError(f"pool is {pool!r}, expected {NEW!r} or {ALL!r}")
    keep = snapshot.available & snapshot.target & (snapshot.new if pool == NEW else True)
    if category is not None:
        wanted = tuple(tables.category_levels(category))
        levels = snapshot.items[tables.CATEGORY].map(
            lambda path: tuple(tables.category_levels(path if isinstance(path, str) else None))
        )
        keep &= np.array([path[: len(wanted)] == wanted for path in levels], dtype=bool)
    if max_price is not None:
        prices = snapshot.items[tables.PRICE].to_numpy(dtype=np.float64)
        keep &= ~(prices > max_price)
    if exclude:
        keep &= ~pd.Index(snapshot.item_ids).isin(list(exclude))
    return np.flatnonzero(keep)
