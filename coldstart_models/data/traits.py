"""What is known of an event beside its item and time, as numbers that a weight can be learned for.

A trait is 0 where nothing sets the event apart: a purchase, of one piece, once, at the price the
person usually pays. What the log does not say is 0 too.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from validation import tables

TRAITS: Final = ("click", "cart", "rating", "quantity", "price", "repeats")
"""Three event types against a purchase; log pieces; log price of a piece against the person's
mean; log of how often the item was chosen."""
KINDS: Final = (tables.CLICK, tables.CART, tables.RATING)
QUANTITY: Final = TRAITS.index("quantity")
PRICE: Final = TRAITS.index("price")
REPEATS: Final = TRAITS.index("repeats")
FARTHEST: Final = 5.0
"""Bound of a log: beyond a factor of 150 it is an error more often than a habit."""


def event_traits(
    types: Sequence[str] | npt.NDArray[np.object_],
    quantities: npt.ArrayLike,
    prices: npt.ArrayLike,
) -> FloatMatrix:
    """(E, len(TRAITS)) of E events, before they are seen within a history: price is the log of the
    price of a piece, NaN where unknown, and repeats are 0.

    Args:
        quantities: (E,) pieces, NaN where unknown.
        prices: (E,) price of a piece, NaN where unknown.
    """
    kinds = np.asarray(types, dtype=object)
    pieces = np.asarray(quantities, np.float64)
    paid = np.asarray(prices, np.float64)
    traits = np.zeros((len(kinds), len(TRAITS)), np.float32)
    for column, kind in enumerate(KINDS):
        traits[:, column] = kinds == kind
    counted = np.isfinite(pieces) & (pieces > 0)
    traits[:, QUANTITY] = np.where(counted, np.log(np.where(counted, pieces, 1.0)), 0.0)
    priced = np.isfinite(paid) & (paid > 0)
    traits[:, PRICE] = np.where(priced, np.log(np.where(priced, paid, 1.0)), np.nan)
    return traits


def no_traits(count: int) -> FloatMatrix:
    """(count, len(TRAITS)) of events of which nothing is known."""
    traits = np.zeros((count, len(TRAITS)), np.float32)
    traits[:, PRICE] = np.nan
    return traits


def history_traits(traits: FloatMatrix, kept: IntArray, times_chosen: IntArray) -> FloatMatrix:
    """(K, len(TRAITS)) of one history's distinct items.

    Args:
        traits: (E, len(TRAITS)) of all its events.
        kept: (K,) each item's latest event.
        times_chosen: (K,) events of each item.
    """
    own = traits[kept].copy()
    prices = traits[:, PRICE]
    known = np.isfinite(prices)
    usual = float(prices[known].mean()) if known.any() else 0.0
    own[:, PRICE] = np.where(np.isfinite(own[:, PRICE]), own[:, PRICE] - usual, 0.0)
    own[:, REPEATS] = np.log(times_chosen)
    return np.clip(own, -FARTHEST, FARTHEST)
