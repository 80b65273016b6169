"""When an item was first offered, where nobody says so.

By the earliest moment that is known: its first event; the date it had before, given or filled; and
the moment of this ingest, where the source was ingested before and the item neither was there nor
was held back. In a source's first ingest nothing tells new listings from old ones that nobody
chose: these stay without a date.
"""

from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.home import Home
from validation import quarantine, reasons, tables
from validation.listing_checks import EARLIEST


@dataclass(frozen=True, slots=True)
class Earlier:
    """What is known of a source's items from the ingests before."""

    dates: pd.Series
    """Item id → `listed_at` of those that were accepted."""
    held: frozenset[str]
    """Item ids that were held back."""

    @classmethod
    def empty(cls) -> "Earlier":
        """Of a source that is new."""
        return cls(pd.Series([], dtype="datetime64[us, UTC]"), frozenset())

    @classmethod
    def of(cls, source: str, items: pd.DataFrame, *, home: Home) -> "Earlier":
        """
        Args:
            items: the stored ones of all sources.
        """
        dates = items[items[tables.SOURCE] == source].set_index(tables.ITEM_ID)[tables.LISTED_AT]
        if dates.empty:
            return cls.empty()
        columns = [tables.SOURCE, reasons.KEY]
        held = quarantine.load(home.quarantine, tables.ITEMS.name, columns=columns)
        ids = held.loc[held[tables.SOURCE] == source, reasons.KEY].dropna()
        # A date that the gate calls wrong goes once it is given no more.
        return cls(dates.where(dates >= pd.Timestamp(EARLIEST)), frozenset(ids))

    def lacks(self, item_ids: pd.Series) -> pd.Series:
        """(N,) bool: which items had not come before; none of a source that is new."""
        if self.dates.empty:
            return pd.Series(False, item_ids.index)
        return ~(item_ids.isin(self.dates.index) | item_ids.isin(self.held))


def listed(
    items: pd.DataFrame,
    events: pd.DataFrame,
    source: SourceData,
    *,
    earlier: Earlier,
    now: datetime,
) -> pd.DataFrame:
    """The items with an absent `listed_at` filled, where the source's events have times.

    Args:
        items: that the gate accepted.
        events: the stored ones, the source's new ones among them.
        now: of the ingest.
    """
    if source.ordering is not Ordering.TIME or items[tables.LISTED_AT].notna().all():
        return items
    own = events[events[tables.SOURCE] == source.name]
    first = own.groupby(tables.ITEM_ID)[tables.EVENT_TIMESTAMP].min()
    item_ids = items[tables.ITEM_ID]
    come = pd.Series(pd.Timestamp(now), item_ids.index).where(earlier.lacks(item_ids))
    known = [item_ids.map(first), item_ids.map(earlier.dates), come]
    earliest = pd.concat([pd.to_datetime(each, utc=True) for each in known], axis=1).min(axis=1)
    return items.assign(**{tables.LISTED_AT: items[tables.LISTED_AT].fillna(earliest)})
