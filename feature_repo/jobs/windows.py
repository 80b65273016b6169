"""Sliding windows in SQL: whole numbers that came within the last hour, day, week or month.

A change adds to its key's measures from when it is known, and leaves each window when it is as
old as the window is long. So a window at a moment is what has come less what has left, both sums
of whole numbers: neither the order of the events nor who else is in the log matters.
"""

from collections.abc import Sequence
from typing import Final

from feature_repo.feature_tables import LIFE, WINDOWS

COUNT_BITS: Final = 25
"""Bits of one count in a pack: five of them fill a 128-bit whole number with its sign."""


def packed(counts: Sequence[str]) -> str:
    """SQL: several counts as one whole number, which adds up as they do, in a third of the time.

    No sum may reach 2^COUNT_BITS; :func:`fits` holds the log to it.
    """
    return " + ".join(
        f"{count} * {1 << COUNT_BITS * place}::HUGEINT" for place, count in enumerate(counts)
    )


def unpacked(pack: str, place: int) -> str:
    """SQL: one count of a pack."""
    return f"(({pack} // {1 << COUNT_BITS * place}::HUGEINT) % {1 << COUNT_BITS})::BIGINT"


def fits(relation: str, key: str) -> str:
    """SQL: true, or an error where a key has more events than a pack can count."""
    return f"""(
        SELECT CASE WHEN coalesce(max(events), 0) < {1 << COUNT_BITS} THEN true ELSE error(
            'one {key} has ' || max(events) || ' events; windows count up to '
            || {(1 << COUNT_BITS) - 1} || ' of one')::BOOLEAN END
        FROM (SELECT count(*) AS events FROM {relation} GROUP BY {key}))"""


def newest_of(key: str) -> str:
    """SQL: keep each key's newest row alone."""
    return f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY known DESC) = 1"


def window_ctes(key: str, measures: Sequence[str], *, last: bool = False) -> str:
    """The CTEs that make `windows` of `changes`.

    `changes` has the key, `known` (from when it is), `since` (when it happened) and `until`
    (when another change takes its place; null if none does), in µs, and the measures. `windows`
    has a row for each key and `known`, and each measure in each window at that moment.

    Args:
        last: only each key's newest row.
    """
    added = ", ".join(f"sum({name})::HUGEINT AS {name}" for name in measures)
    totals = ", ".join(f"sum({name}) OVER so_far AS {name}" for name in measures)
    newest = newest_of(key) if last else ""
    so_far = f"WINDOW so_far AS (PARTITION BY {key} ORDER BY known ROWS UNBOUNDED PRECEDING)"
    ends = {
        **{
            name: f"least(until, greatest(known, since + {length}))"
            for name, length in WINDOWS.items()
        },
        LIFE: "until",
    }
    left = "".join(
        f""",
left_{name} AS (
    SELECT {key}, known, {totals}
    FROM (SELECT {key}, {end} AS known, {added} FROM changes WHERE {end} IS NOT NULL
          GROUP BY {key}, {end})
    {so_far}
)"""
        for name, end in ends.items()
    )
    columns = ",\n".join(
        f"t.{measure} - coalesce(left_{name}.{measure}, 0) AS {measure}_{name}"
        for measure in measures
        for name in ends
    )
    joins = "\n".join(
        f"ASOF LEFT JOIN left_{name}\n"
        f"ON t.{key} = left_{name}.{key} AND t.known >= left_{name}.known"
        for name in ends
    )
    return f"""
came AS (
    SELECT * FROM (
        SELECT {key}, known, {totals}
        FROM (SELECT {key}, known, {added} FROM changes GROUP BY {key}, known)
        {so_far})
    {newest}
){left},
windows AS (
    SELECT t.{key}, t.known, {columns}
    FROM came AS t
    {joins}
)"""
