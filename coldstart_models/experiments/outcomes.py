"""One row a unit of an experiment: its variant, what it did after its first page, and before.

A unit's outcomes count for a fixed time after its first page, and only units whose time is over are
in the table: so every unit is one finished observation, and looking at the table again and again
adds units to it but changes none. What a unit did in as long a time before its first page is known
before the experiment can have changed anything: CUPED takes it out of the noise.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import pandas as pd

from coldstart_models.experiments.attribution import (
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
    """Variant → units that saw a page, finished or not; for the sample-ratio check."""
    unfinished: int
    """Units whose time is not over yet."""
    moved: int
    """Units that saw more than one variant; they are left out."""


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
    """
    of_test = shown[(shown[EXPERIMENT] == experiment) & shown[tables.VARIANT].notna()]
    of_test = of_test.reset_index(drop=True)
    by_unit = of_test.groupby(UNIT)
    units = by_unit.agg(
        variant=(tables.VARIANT, "first"),
        variants=(tables.VARIANT, "nunique"),
        first=(SERVED_AT, "min"),
    )
    moved = units["variants"] > 1
    stayed = units[~moved]
    finished = stayed[stayed[FIRST] + window <= pd.Timestamp(now)]
    table = finished.drop(columns="variants").sort_values([FIRST, UNIT])
    rows = credited(of_test, events).join(table[FIRST], on=UNIT, how="inner")
    within = rows[rows[SERVED_AT] < rows[FIRST] + window].groupby(UNIT)
    table[IMPRESSIONS] = within.size().reindex(table.index, fill_value=0).astype(float)
    table[CLICKS] = within[CLICKS].sum().reindex(table.index, fill_value=0.0)
    own = events.join(table[FIRST], on=UNIT, how="inner")
    since = own[tables.EVENT_TIMESTAMP] - own[FIRST]
    span, none = pd.Timedelta(window), pd.Timedelta(0)
    for suffix, part in (
        ("", own[(since >= none) & (since < span)]),
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
