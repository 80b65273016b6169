"""How much of people's attention and choices each item has had, as `aggregate` counted it."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from feature_repo.feature_tables import ITEM_STATS
from feature_repo.home import Home
from feature_repo.offline_tables import query
from validation import tables

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Exposure:
    """M items that had any event; the others are not here."""

    item_ids: npt.NDArray[np.object_]
    people: Counts
    """(M,) distinct users who chose it: clicked, put in the cart, bought or rated."""
    impressions: Counts
    """(M,)"""

    def of(self, item_ids: npt.NDArray[np.object_]) -> tuple[Counts, Counts]:
        """(N,) people and impressions of the items in this order; zero without an event."""
        held = dict(zip(self.item_ids.tolist(), range(len(self.item_ids)), strict=True))
        rows = np.array([held.get(item_id, -1) for item_id in item_ids.tolist()], np.int64)
        counted = tuple(np.append(of, 0)[rows] for of in (self.people, self.impressions))
        return counted[0], counted[1]


def item_exposure(home: Home) -> Exposure:
    """The newest counts of every item of `item_stats`."""
    path = home.feature_table(ITEM_STATS.name)
    if not path.exists():
        empty = np.zeros(0, np.int64)
        return Exposure(np.zeros(0, object), empty, empty)
    found = query(
        f"""
        SELECT {tables.ITEM_ID} AS item_id, max(user_count) AS people,
               max(impression_count) AS impressions
        FROM read_parquet(?) GROUP BY ALL
        """,
        str(path),
    )
    return Exposure(
        found["item_id"].to_numpy(),
        found["people"].to_numpy().astype(np.int64),
        found["impressions"].to_numpy().astype(np.int64),
    )
