"""What a log of events shows as a whole: rates no person reaches, and days without any event."""

from typing import Final

import pandas as pd

from validation import tables
from validation.facts import labelled

FASTEST: Final = 40
"""Deliberate acts of one user within a minute beyond which no person acts."""
DELIBERATE: Final = (tables.CLICK, tables.CART, tables.RATING)
"""One purchase may have hundreds of lines, and one page dozens of impressions."""
BUSY: Final = 20
"""Events of a middling day from which a day without any is a gap."""
LONGEST_NOTE: Final = 3


def too_fast(events: pd.DataFrame) -> dict[int, str]:
    """Row → how many acts its user made within its minute, where no person makes so many."""
    acts = events[events[tables.EVENT_TYPE].isin(DELIBERATE)]
    acts = acts.dropna(subset=[tables.USER_ID, tables.EVENT_TIMESTAMP])
    if acts.empty:
        return {}
    minute = acts[tables.EVENT_TIMESTAMP].dt.floor("min")
    counts = acts.groupby([acts[tables.USER_ID], minute])[tables.USER_ID].transform("size")
    return {row: str(count) for row, count in labelled(counts[counts > FASTEST])}


def gaps(events: pd.DataFrame) -> tuple[str, ...]:
    """A sentence where days between the first and the last have no event; none for thin logs."""
    days = events[tables.EVENT_TIMESTAMP].dropna().dt.floor("D")
    if days.empty:
        return ()
    counts = days.value_counts().sort_index()
    every = pd.date_range(counts.index[0], counts.index[-1], freq="D")
    missing = every.difference(counts.index)
    if missing.empty or counts.median() < BUSY or len(missing) > len(every) / 2:
        return ()
    weekly = missing.dayofweek.value_counts().max() > 0.8 * len(missing) and len(missing) > 3
    if weekly:  # a shop that closes on one day of the week
        return ()
    first = ", ".join(day.date().isoformat() for day in missing[:LONGEST_NOTE])
    more = f" and {len(missing) - LONGEST_NOTE} more" if len(missing) > LONGEST_NOTE else ""
    return (f"no event on {len(missing)} of {len(every)} days ({first}{more}); look for lost data",)
