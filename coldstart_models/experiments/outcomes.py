"""One row a unit of an experiment: its variant, what it did after its first page, and before.

A unit's outcomes count for a fixed time after its first page, and only units whose time is over are
in the table: so every unit is one finished observation, and looking at the table again and again
adds units to it but changes none. So nothing counts that comes after that time: no event, though
it is credited to a page within, and no page of another variant. What a unit did in as long a time
before its first page is known before the experiment can have changed anything: CUPED takes it out
of the noise.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from coldstart_models.experiments.attribution import (
    BY,
    CLICKS,
    EXPERIMENT,
    PURCHASES,
    REVENUE,
    SERVED_AT,
    UNIT,
    credited,
)
from validation import tables

IMPRESSIONS: Final = "impressions"
BOUGHT: Final = "bought"
BEFORE: Final = "_before"
FIRST: Final = "first"


@dataclass(frozen=True, slots=True)
class Units:
    """Who took part in an experiment."""

    table: pd.DataFrame
    """A finished unit a row, by first page: `unit`, `variant`, `first`, outcomes, `…_before`."""
    dealt: dict[str, int]
    """Variant → units that saw it alone, finished or not; for the sample-ratio check."""
    unfinished: int
    """Units whose time is not over yet."""
    moved: int
    """Units that saw more than one variant in their time; they are left out."""


def units_of(
    experiment: str,
    shown: pd.DataFrame,
    events: pd.DataFrame,
    *,
    window: timedelta,
    now: datetime,
) -> Units:
    """The units of one experiment.

    Args:
        shown: of `attribution.shown_frame`.
        events: of `attribution.unit_events`.
        window: how long outcomes count, after the first page and, for CUPED, before it.
        now: nothing later is looked at.
    """
    pages = _within_their_time(_pages(shown, experiment, now), window)
    units = pages.groupby(UNIT).agg(
        variant=(tables.VARIANT, "first"),
        variants=(tables.VARIANT, "nunique"),
        first=(FIRST, "first"),
    )
    moved = units["variants"] > 1
    stayed = units[~moved]
    finished = stayed[stayed[FIRST] + window <= pd.Timestamp(now)]
    table = finished.drop(columns="variants").sort_values([FIRST, UNIT])
    known = _each_once(events[events[tables.EVENT_TIMESTAMP] <= pd.Timestamp(now)], units[FIRST])
    own = known.join(table[FIRST], on=UNIT, how="inner").reset_index(drop=True)
    since = own[tables.EVENT_TIMESTAMP] - own[FIRST]
    span, none = pd.Timedelta(window), pd.Timedelta(0)
    outcomes = own[(since >= none) & (since < span)]
    within = credited(pages, outcomes.drop(columns=FIRST)).groupby(UNIT)
    table[IMPRESSIONS] = within.size().reindex(table.index, fill_value=0).astype(float)
    table[CLICKS] = within[CLICKS].sum().reindex(table.index, fill_value=0.0)
    for suffix, part in (
        ("", outcomes),
        (BEFORE, own[(since < none) & (since >= -span)]),
    ):
        sums = part.groupby(UNIT)[[CLICKS, PURCHASES, REVENUE]].sum()
        sums = sums.reindex(table.index, fill_value=0.0)
        table[BOUGHT + suffix] = (sums[PURCHASES] > 0).astype(float)
        table[REVENUE + suffix] = sums[REVENUE]
        if suffix:
            table[CLICKS + suffix] = sums[CLICKS]
    return Units(
        table=table.reset_index(),
        dealt={str(name): int(count) for name, count in stayed["variant"].value_counts().items()},
        unfinished=len(stayed) - len(finished),
        moved=int(moved.sum()),
    )


def _pages(shown: pd.DataFrame, experiment: str, now: datetime) -> pd.DataFrame:
    """What an experiment had shown by a moment, with each unit's first page."""
    known = (shown[EXPERIMENT] == experiment) & (shown[SERVED_AT] <= pd.Timestamp(now))
    pages = shown[known & shown[tables.VARIANT].notna()]
    return pages.assign(**{FIRST: pages.groupby(UNIT)[SERVED_AT].transform("min")})


def _within_their_time(pages: pd.DataFrame, window: timedelta) -> pd.DataFrame:
    return pages[pages[SERVED_AT] < pages[FIRST] + window].reset_index(drop=True)


def _each_once(events: pd.DataFrame, first: "pd.Series[pd.Timestamp]") -> pd.DataFrame:
    """Events without those of visits that are a user's own.

    Who signs in is two units from then on, and what they do is the user's once that user has seen
    a page. It is decided by what was so when they did it: no later page changes it.
    """
    signed_in = events[BY].map(first) <= events[tables.EVENT_TIMESTAMP]
    return events[(events[UNIT] == events[BY]) | ~signed_in]
