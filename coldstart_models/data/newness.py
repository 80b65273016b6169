"""Which listings are new: one rule for what training teaches and for what the service offers."""

from datetime import timedelta
from typing import Final

import numpy as np

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.data.shop_clock import in_order

NEW_FOR_US: Final = timedelta(days=28) // timedelta(microseconds=1)
"""A listing counts as new for so long before the newest choice."""


def new_listings(
    listed_us: IntArray,
    chosen: BoolArray,
    *,
    newest_us: int | None,
    within_us: int = NEW_FOR_US,
) -> BoolArray:
    """(N,) who is new: never chosen, or listed shortly before the newest choice of the log.

    A log without dates stands at the year 2000, before every listing: there only those that were
    never chosen are new.

    Args:
        listed_us: (N,) µs since 1970, UTC; the smallest int64 where it is unknown.
        chosen: (N,) whether somebody chose it.
        newest_us: when the newest positive event of the whole log was, on whatever item; None of a
            log without any.
        within_us: how long before that.
    """
    if newest_us is None or in_order(newest_us):
        return ~chosen
    return np.asarray(~chosen | (listed_us >= newest_us - within_us), bool)
