"""What came of what was shown: events are credited to the page that last showed the listing.

An event counts for the newest page, not older than a window, on which its person saw the listing;
one page's listing is credited however often it is chosen. A page of a visitor without a user id is
matched with events of the same session id; where a person saw a listing both as a visitor and as a
user, the newer of the two pages has the event, and no other.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

import numpy as np
import pandas as pd

from feature_repo.page_log import ServedPage
from validation import tables

CREDIT: Final = timedelta(hours=24)
"""How long after a page its listings are credited."""
UNIT: Final = "unit"
EVENT: Final = "event"
"""Which event a row is of: one event is a row of its user and one of its visit."""
BY: Final = "by"
"""The unit of the user whom an event names, whichever unit it is counted for."""
PAGE_ID: Final = "page_id"
SERVED_AT: Final = "served_at"
CLICKS: Final = "clicks"
PURCHASES: Final = "purchases"
REVENUE: Final = "revenue"
OUTCOMES: Final = (CLICKS, PURCHASES, REVENUE)
EVENT_COLUMNS: Final = (
    tables.USER_ID,
    tables.SESSION_ID,
    tables.ITEM_ID,
    tables.EVENT_TYPE,
    tables.EVENT_TIMESTAMP,
    tables.QUANTITY,
    tables.UNIT_PRICE,
)
EXPERIMENT: Final = "experiment"


def shown_frame(pages: Iterable[ServedPage]) -> pd.DataFrame:
    """One row a listing that was shown to somebody, in the log's order."""
    rows = [
        (page.page_id, page.unit, page.served_at, page.experiment, page.variant, item_id)
        for page in pages
        if page.unit is not None
        for item_id in page.item_ids
    ]
    names = [PAGE_ID, UNIT, SERVED_AT, EXPERIMENT, tables.VARIANT, tables.ITEM_ID]
    frame = pd.DataFrame(rows, columns=names)
    frame[SERVED_AT] = pd.to_datetime(frame[SERVED_AT], utc=True).astype("datetime64[us, UTC]")
    return frame


def unit_events(events: pd.DataFrame, prices: "pd.Series[float]") -> pd.DataFrame:
    """Events by unit with what they count for: `clicks`, `purchases`, `revenue`.

    A click is any event by which a person chose the listing. An event of a visit is there for the
    user and for the visit, because either may be whom a page was shown to. Where a purchase does
    not say pieces or price it is one piece at the listing's price.

    Args:
        events: EVENT_COLUMNS of canonical events.
        prices: of listings, by item id.
    """
    chosen = events[events[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)]
    bought = (chosen[tables.EVENT_TYPE] == tables.PURCHASE).astype(float)
    price = chosen[tables.UNIT_PRICE].fillna(chosen[tables.ITEM_ID].map(prices)).fillna(0.0)
    counted = chosen.copy()
    counted[CLICKS] = 1.0
    counted[PURCHASES] = bought
    counted[REVENUE] = bought * price * chosen[tables.QUANTITY].fillna(1.0)
    counted[EVENT] = np.arange(len(counted))
    counted[BY] = "user:" + counted[tables.USER_ID].astype(str)
    by_session = counted[counted[tables.SESSION_ID].notna()]
    together = pd.concat(
        [
            counted.assign(**{UNIT: counted[BY]}),
            by_session.assign(**{UNIT: "session:" + by_session[tables.SESSION_ID].astype(str)}),
        ],
        ignore_index=True,
    )
    together[tables.EVENT_TIMESTAMP] = pd.to_datetime(
        together[tables.EVENT_TIMESTAMP], utc=True
    ).astype("datetime64[us, UTC]")
    return together[[EVENT, UNIT, BY, tables.ITEM_ID, tables.EVENT_TIMESTAMP, *OUTCOMES]]


def credited(
    shown: pd.DataFrame, events: pd.DataFrame, *, window: timedelta = CREDIT
) -> pd.DataFrame:
    """The shown rows with the outcomes that are credited to them; `clicks` is 0 or 1.

    Args:
        shown: of `shown_frame`.
        events: of `unit_events`.
    """
    place = shown.assign(row=np.arange(len(shown))).sort_values(SERVED_AT, kind="stable")
    found = pd.merge_asof(
        events.sort_values(tables.EVENT_TIMESTAMP, kind="stable"),
        place[[UNIT, tables.ITEM_ID, SERVED_AT, "row"]],
        left_on=tables.EVENT_TIMESTAMP,
        right_on=SERVED_AT,
        by=[UNIT, tables.ITEM_ID],
        tolerance=pd.Timedelta(window),
    ).dropna(subset=["row"])
    newest = found.sort_values(SERVED_AT, kind="stable").drop_duplicates(EVENT, keep="last")
    sums = newest.groupby(newest["row"].astype(np.int64))[list(OUTCOMES)].sum()
    filled = sums.reindex(np.arange(len(shown)), fill_value=0.0)
    outcomes = {name: filled[name].to_numpy() for name in OUTCOMES}
    outcomes[CLICKS] = np.minimum(outcomes[CLICKS], 1.0)
    return shown.assign(**outcomes)


def by_page(
    shown: pd.DataFrame, events: pd.DataFrame, *, now: datetime, window: timedelta = CREDIT
) -> pd.DataFrame:
    """What each page earned, by its id: those whose window is over at `now`.

    Younger pages take what is theirs first, so that it is not credited to the page before.

    Args:
        shown: of `shown_frame`, of every page.
        events: of `unit_events`.
        now: no later page is looked at.
    """
    pages = shown[shown[SERVED_AT] <= pd.Timestamp(now)].reset_index(drop=True)
    found = credited(pages, events, window=window)
    over = found[SERVED_AT] + pd.Timedelta(window) <= pd.Timestamp(now)
    return found[over].groupby(PAGE_ID)[list(OUTCOMES)].sum()
