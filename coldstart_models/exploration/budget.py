"""How much exposure exploration may give: so much a listing, so many slots a page.

A listing that had its share of explored slots leaves the pool of arms, whatever came of it: from
then on it is ranked by what the scorer and its first customers say. That also turns the pool over,
so that what stands behind the best arms gets its turn.
"""

import threading
from collections import Counter
from collections.abc import Collection, Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd

from coldstart_models.errors import ConfigError
from coldstart_models.exploration.policy import Bools


def slots_of(page: int, *, per_page: int) -> int:
    """How many of a page's slots may be explored: never more than half of them."""
    return min(per_page, page // 2)


class ListingBudget:
    """Counts explored exposures. Safe to share between threads."""

    def __init__(self, per_listing: int, *, spent: Mapping[str, int] | None = None) -> None:
        """Allow `per_listing` exposures of each; `spent` are those of before."""
        if per_listing < 1:
            raise ConfigError(f"a listing's budget is {per_listing}, expected at least 1 exposure")
        self._per_listing = per_listing
        self._counts = Counter(dict(spent or {}))
        over = [one for one, count in self._counts.items() if count >= per_listing]
        self._over = pd.Index(over, dtype=object)
        self._lock = threading.Lock()

    def open(self, item_ids: npt.NDArray[np.object_]) -> Bools:
        """(C,): which listings have exposures left."""
        over = self._over
        if over.empty:
            return np.ones(len(item_ids), dtype=bool)
        return ~np.asarray(pd.Index(item_ids).isin(over), dtype=bool)

    def left(self, item_id: str) -> int:
        """Exposures that a listing may still get."""
        return max(0, self._per_listing - self._counts[item_id])

    def spend(self, item_ids: Collection[str]) -> None:
        """Count one explored exposure of each."""
        with self._lock:
            self._counts.update(item_ids)
            self._close(set(item_ids))

    def at_least(self, spent: Mapping[str, int]) -> None:
        """Take up how many exposures listings got in all, as others have counted them too."""
        with self._lock:
            for item_id, count in spent.items():
                self._counts[item_id] = max(self._counts[item_id], count)
            self._close(spent)

    def _close(self, item_ids: Collection[str]) -> None:
        over = [one for one in item_ids if self._counts[one] >= self._per_listing]
        if over:
            self._over = self._over.union(pd.Index(over, dtype=object), sort=False)
