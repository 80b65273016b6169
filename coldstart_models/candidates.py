"""Which listings may be recommended: the pool and what the request filters out of it."""

from collections.abc import Collection
from typing import Final

import numpy as np

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
    min_price: float | None = None,
    max_price: float | None = None,
    available: bool = True,
    exclude: Collection[str] = (),
) -> IntArray:
    """Rows of the items of a pool that pass the filters.

    Args:
        min_price: listings without a price go, as nobody knows that they cost so much.
        max_price: listings without a price stay.
        available: leave out what cannot be bought now.
    """
    if pool not in (NEW, ALL):
        raise ValueError(f"pool is {pool!r}, expected {NEW!r} or {ALL!r}")
    keep = snapshot.target & (snapshot.new if pool == NEW else True)
    if available:
        keep &= snapshot.available
    if category is not None:
        wanted = tuple(tables.category_levels(category))
        numbers, levels = snapshot.categories
        inside = np.array([path[: len(wanted)] == wanted for path in levels], dtype=bool)
        keep &= inside[numbers]
    if min_price is not None:
        keep &= snapshot.prices >= min_price
    if max_price is not None:
        keep &= ~(snapshot.prices > max_price)
    if exclude:
        keep[snapshot.rows_of(exclude)] = False
    return np.flatnonzero(keep)
