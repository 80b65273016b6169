"""When an item was first offered, where nobody says so.

By the earliest moment that is known: its first event; the date it had before, given or filled; and
the moment of this ingest, where the source was ingested before and the item neither was there nor
was held back. In a source's first ingest nothing tells new listings from old ones that nobody
chose: these stay without a date.
"""

from datetime import datetime

import pandas as pd

from feature_repo.catalogs.source import Ordering, SourceData
from feature_repo.home import Home
from validation import quarantine, reasons, tables


def listed(
    items: pd.DataFrame,
    events: pd.DataFrame,
    source: SourceData,
    *,
    earlier: pd.DataFrame,
    home: Home,
    now: datetime,
) -> pd.DataFrame:
    """The items with an absent `listed_at` filled, where the source's events have times.

    Args:
        items: that the gate accepted.
        events: the stored ones, the source's new ones among them.
        earlier: the source's items as they were stored; none of a source that is new.
        home: whose quarantine holds what was held back before.
        now: of the ingest.
    """
    if source.ordering is not Ordering.TIME or items[tables.LISTED_AT].notna().all():
        return items
    item_ids = items[tables.ITEM_ID]
    own = events[events[tables.SOURCE] == source.name]
    first = own.groupby(tables.ITEM_ID)[tables.EVENT_TIMESTAMP].min()
    stored = earlier.set_index(tables.ITEM_ID)[tables.LISTED_AT]
    # A date that the gate calls wrong goes once it is given no more.
    known = [
        item_ids.map(first),
        item_ids.map(stored.where(stored >= pd.Timestamp(tables.EARLIEST))),
    ]
    if len(stored):
        had = item_ids.isin(stored.index) | item_ids.isin(_held(source.name, home))
        known.append(pd.Series(pd.Timestamp(now), item_ids.index).mask(had))
    earliest = pd.concat([pd.to_datetime(each, utc=True) for each in known], axis=1).min(axis=1)
    return items.assign(**{tables.LISTED_AT: items[tables.LISTED_AT].fillna(earliest)})


def _held(source: str, home: Home) -> pd.Series:
    """Item ids of a source that are in quarantine."""
    columns = [tables.SOURCE, reasons.KEY]
    held = quarantine.load(home.quarantine, tables.ITEMS.name, columns=columns)
    return held.loc[held[tables.SOURCE] == source, reasons.KEY].dropna()
