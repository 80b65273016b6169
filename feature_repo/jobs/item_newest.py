"""Items' newest rows from the sums of the large log file and the few events that came since.

What stands here is, bit for bit, the newest row that the SQL of the job makes of all events
(:mod:`feature_repo.jobs.item_behaviour`, `STATS_SQL` there): at an item's last moment nothing
is known that is later, so a window holds the events that happened less than its length ago, and
everybody counts once, with the last time. Powers, divisions and conversions are DuckDB's in both.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import duckdb
import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from feature_repo.feature_tables import ITEM_ACTIVITY, ITEM_STATS, LIFE, WINDOWS, stamped
from feature_repo.jobs.arrival import HAPPENED, KNOWN, POSITIVE, known_from
from feature_repo.jobs.decay import ERA, carried, decayed, era, weight
from feature_repo.jobs.item_behaviour import COUNTED, POPULARITY_HALF_LIFE_US, STATS_OF_DAY
from feature_repo.jobs.item_sums import PERSON, USER_HASH, ItemSum, ItemSums, Moments
from feature_repo.jobs.small_database import small_database
from validation import tables

Users = Callable[[npt.NDArray[np.int64]], Sequence[str]]
"""Row numbers of the large file → their users."""
NOTHING: Final = ItemSum(
    known=np.iinfo(np.int64).min,
    times={kind: np.empty(0, np.int64) for kind in tables.EVENT_TYPES},
    people=np.empty(0, PERSON),
    people_times=np.empty(0, np.int64),
    weights={},
)
"""Of an item that the large file has no event of."""


@dataclass(slots=True)
class Later:
    """An item's events that came after the large file."""

    known: int = NOTHING.known
    times: dict[str, Moments] = field(default_factory=lambda: dict(NOTHING.times))
    """Kind of event → when they happened, µs."""
    people: dict[str, tuple[int, int]] = field(default_factory=dict)
    """User → hash, and last time of a positive event."""
    weights: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ItemLog:
    """What the log holds of some items: sums of the large file, and the events after it."""

    sums: ItemSums
    users: Users
    later: pa.Table
    """Canonical events."""

    def newest_rows(self, item_ids: Collection[str], *, now: datetime) -> dict[str, pd.DataFrame]:
        """The newest `item_stats` and `item_activity` row of each item with events, by item."""
        with small_database() as connection:
            later = _later(connection, self.later)
            states = []
            for item_id in sorted(set(item_ids)):
                before, after = self.sums.of(item_id), later.get(item_id)
                if before is not None or after is not None:
                    state = self._state(before or NOTHING, after or Later())
                    states.append({tables.ITEM_ID: item_id, **state})
            if not states:
                return {}
            connection.register("states", _as_table(states))
            activity = connection.sql(_ACTIVITY_SQL).to_arrow_table()
            stats = connection.sql(_STATS_SQL).to_arrow_table()
            connection.unregister("states")
        return {
            table.name: stamped(rows, schema=table.schema, now=now).to_pandas()
            for table, rows in ((ITEM_STATS, stats), (ITEM_ACTIVITY, activity))
        }

    def _state(self, before: ItemSum, after: Later) -> dict[str, int]:
        known = max(before.known, after.known)
        state = {"known": known}
        for kind in tables.EVENT_TYPES:
            times, more = before.times[kind], after.times[kind]
            state[f"{kind}_count_{LIFE}"] = len(times) + len(more)
            if kind in COUNTED:
                for name, length in WINDOWS.items():
                    state[f"{kind}_count_{name}"] = _since(times, known - length) + int(
                        (more > known - length).sum()
                    )
        state |= self._people(before, after, known)
        at = known // (ERA * POPULARITY_HALF_LIFE_US)
        for name, number in (("weight", at), ("weight_before", at - 1)):
            state[name] = before.weights.get(number, 0) + after.weights.get(number, 0)
        return state

    def _people(self, before: ItemSum, after: Later, known: int) -> dict[str, int]:
        """Each of them counts once, by the last time in the large file or after it."""
        of_before = self._before(before, after.people)
        replaced = np.array([last for last in of_before if last is not None], np.int64)
        lasts = np.array(
            [
                last if earlier is None else max(last, earlier)
                for (_, last), earlier in zip(after.people.values(), of_before, strict=True)
            ],
            np.int64,
        )
        counts = {
            f"user_count_{name}": _since(before.people_times, known - length)
            - int((replaced > known - length).sum())
            + int((lasts > known - length).sum())
            for name, length in WINDOWS.items()
        }
        counts[f"user_count_{LIFE}"] = len(before.people) - len(replaced) + len(lasts)
        return counts

    def _before(self, before: ItemSum, people: dict[str, tuple[int, int]]) -> list[int | None]:
        """The last times of users in the large file; None of those that it does not have."""
        hashes = np.array([hashed for hashed, _ in people.values()], np.uint64)
        first = np.searchsorted(before.people["hash"], hashes, side="left")
        last = np.searchsorted(before.people["hash"], hashes, side="right")
        candidates = [before.people[low:high] for low, high in zip(first, last, strict=True)]
        numbers = [row for found in candidates for row in found["row"].tolist()]
        names = iter(self.users(np.array(numbers, np.int64)))
        return [
            next((int(one["last"]) for one, name in named if name == user), None)
            for user, named in zip(
                people, [[(one, next(names)) for one in found] for found in candidates], strict=True
            )
        ]


def _since(ascending: Moments, moment: int) -> int:
    """How many are later than the moment."""
    return len(ascending) - int(np.searchsorted(ascending, moment, side="right"))


def _later(connection: duckdb.DuckDBPyConnection, events: pa.Table) -> dict[str, Later]:
    """The events by item; only what is told of a kind, a person or an era comes out of DuckDB."""
    found: dict[str, Later] = {}
    if not events.num_rows:
        return found
    connection.register("events", events)
    connection.execute(
        f"""CREATE TEMP TABLE later AS
        SELECT item_id, user_id, event_type, {POSITIVE} AS positive, {KNOWN} AS known,
               {HAPPENED} AS us, {USER_HASH} AS hash FROM events"""
    )
    connection.unregister("events")
    kinds = connection.sql(
        "SELECT item_id, event_type, max(known), list(us) FROM later GROUP BY ALL"
    ).to_arrow_table()
    item_ids, types, knowns, times = kinds.columns
    for item_id, kind, known, own in zip(
        item_ids.to_pylist(), types.to_pylist(), knowns.to_pylist(), times, strict=True
    ):
        item = found.setdefault(item_id, Later())
        item.known = max(item.known, known)
        item.times[kind] = own.values.to_numpy()
    people = connection.sql(
        """SELECT item_id, user_id, any_value(hash), max(us)
        FROM later WHERE positive GROUP BY item_id, user_id"""
    ).fetchall()
    for item_id, user_id, hashed, last in people:
        found[item_id].people[user_id] = (hashed, last)
    half_life = POPULARITY_HALF_LIFE_US
    weights = connection.sql(
        f"""SELECT item_id, {era("known", half_life_us=half_life)} AS era,
                   sum({weight("us", "known", half_life_us=half_life)})::HUGEINT AS weight
        FROM later WHERE positive GROUP BY ALL"""
    ).fetchall()
    for item_id, number, total in weights:
        found[item_id].weights[number] = int(total)
    return found


def _as_table(states: Sequence[dict[str, Any]]) -> pa.Table:
    whole = ("weight", "weight_before")
    columns = {
        name: pa.array(
            [state[name] for state in states],
            type=pa.string()
            if name == tables.ITEM_ID
            else pa.decimal128(38, 0)
            if name in whole
            else pa.int64(),
        )
        for name in states[0]
    }
    return pa.table(columns)


_ACTIVITY_SQL: Final = f"""
SELECT * EXCLUDE (known, weight, weight_before),
       {
    decayed(
        f"(weight::HUGEINT + {carried('weight_before::HUGEINT')})",
        "known",
        half_life_us=POPULARITY_HALF_LIFE_US,
    )
} AS popularity,
       known AS counted_us, {known_from("known")} AS event_timestamp
FROM states ORDER BY item_id
"""
_STATS_COLUMNS = ", ".join(f"{kind}_count_{LIFE} AS {kind}_count" for kind in tables.EVENT_TYPES)
_STATS_SQL: Final = f"""
SELECT * EXCLUDE (day), {STATS_OF_DAY}
FROM (SELECT item_id, {_STATS_COLUMNS}, user_count_{LIFE} AS user_count,
             date_trunc('day', make_timestamptz(known)) AS day FROM states)
ORDER BY item_id
"""
