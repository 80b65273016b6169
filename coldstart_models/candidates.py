"""Which listings are asked about: by id, or a pool and what the request filters out of it."""

from collections.abc import Collection, Sequence
from typing import Final

import numpy as np

from coldstart_models.data.catalogue import IntArray
from coldstart_models.errors import UnknownItem
from coldstart_models.snapshot import Snapshot
from coldstart_models.user_history import UserHistory
from validation.prices import spelled_levels

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
        category: the beginning of a path; blanks and case do not matter.
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
        wanted = spelled_levels(category)
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


def unfiltered_rows(
    snapshot: Snapshot, pool: str, history: UserHistory, item_ids: Collection[str]
) -> IntArray:
    """Rows of what a person is recommended without filters; of the history only these items."""
    return pool_rows(snapshot, pool, exclude=set(history.item_ids).difference(item_ids))


def served_rows(snapshot: Snapshot, item_ids: Sequence[str]) -> IntArray:
    """(K,) rows of the ids, in order. Raises UnknownItem naming those that are not served."""
    unknown = [item_id for item_id in item_ids if item_id not in snapshot.position]
    if unknown:
        raise UnknownItem(
            f"{len(unknown)} of {len(item_ids)} items are not served: "
            f"{', '.join(map(str, unknown[:5]))}; add them by `coldstart listings`"
        )
    return np.array([snapshot.position[item_id] for item_id in item_ids], dtype=np.int64)
