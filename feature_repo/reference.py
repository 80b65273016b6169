"""The table of every feature in docs/features.md, written from the declarations.

``python -m feature_repo.reference docs/features.md`` writes what stands between its marks anew.
"""

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa

from feature_repo.feature_tables import (
    CATEGORY_STATS,
    FEATURE_TABLES,
    ITEM_ACTIVITY,
    ITEM_ADAPTATION,
    ITEM_IMAGE_EMBEDDING,
    ITEM_PROFILE,
    ITEM_STATS,
    ITEM_TEXT_EMBEDDING,
    ITEM_VECTOR,
    LIFE,
    LISTING_CHANGES,
    USER_ACTIVITY,
    USER_AFFINITIES,
    USER_HISTORY,
    USER_SESSION,
    WINDOWS,
)
from feature_repo.on_demand_features import ON_DEMAND_TABLES, OnDemandTable

MARKS: Final = ("<!-- features -->", "<!-- /features -->")

MICROSECOND_LATER: Final = "1 µs after the moment at which an event became known"
NEXT_MIDNIGHT: Final = "the midnight (UTC) after the day"
KNOWN_FROM: Final[Mapping[str, str]] = {
    ITEM_PROFILE.name: "`listed_at`, or 2000-01-01 where that is unknown",
    ITEM_IMAGE_EMBEDDING.name: "`listed_at`, or 2000-01-01 where that is unknown",
    ITEM_TEXT_EMBEDDING.name: "`listed_at`, or 2000-01-01 where that is unknown",
    ITEM_VECTOR.name: "when the model made it",
    ITEM_ADAPTATION.name: "when the model learned from the item's customers",
    ITEM_STATS.name: NEXT_MIDNIGHT,
    CATEGORY_STATS.name: NEXT_MIDNIGHT,
    USER_HISTORY.name: MICROSECOND_LATER,
    USER_ACTIVITY.name: MICROSECOND_LATER,
    USER_SESSION.name: MICROSECOND_LATER,
    USER_AFFINITIES.name: MICROSECOND_LATER,
    ITEM_ACTIVITY.name: MICROSECOND_LATER,
    LISTING_CHANGES.name: "when a state folder told of the change",
}
"""Feature table → from when on its rows are seen."""

_LENGTHS: Final = "|".join(WINDOWS)
WINDOW: Final = re.compile(rf"_({_LENGTHS}|{LIFE})(_now)?$")
UNITS: Final[Sequence[tuple[str, str]]] = (
    (r"_affinities$|category_counts$|category_last_us$", "JSON, by name"),
    (r"_us$", "µs since 1970 UTC"),
    (r"^spend_", "money, the items' currency"),
    (r"^(price|price_mean|price_std|history_prices)$", "money, the items' currency"),
    (r"^log_price_mean$", "log of money"),
    (r"user_count|^support$", "users"),
    (r"session_category_count|session_categories", "top categories"),
    (r"_count(_|$)|^popularity", "events"),
    (r"ctr$|cvr$|affinity$|_share$|^log_price_ratio$", "ratio"),
    (r"^hours_since_", "hours"),
    (r"^session_minutes$", "minutes"),
    (r"^days_since_", "days"),
    (r"^history_quantities$", "pieces"),
    (r"^history_", "list, one an event"),
    (r"^(embedding|vector|delta)$", "vector"),
    (r"^bias$", "score"),
    (r"_hash$", "sha256"),
    (r"^available$", "yes or no"),
    (r"", "text"),
)
"""The first pattern that a feature's name matches says its unit."""


def reference() -> str:
    """Markdown: a heading and a table for each view."""
    stored = [_stored(name) for name in FEATURE_TABLES]
    on_demand = [_on_demand(table) for table in ON_DEMAND_TABLES.values()]
    return "\n".join([*stored, *on_demand])


def unit(feature: str) -> str:
    """What the feature is counted in."""
    return next(unit for pattern, unit in UNITS if re.search(pattern, feature))


def window(feature: str, *, view: str) -> str:
    """The time that the feature looks back over."""
    found = WINDOW.search(feature)
    if found:
        return found[1]
    if feature.startswith("session_"):
        return "visit"
    if feature.startswith("history_"):
        return "last 200 events"
    if "popularity" in feature:
        return "half-life 7 d"
    if view in (USER_AFFINITIES.name, "user_item_affinity"):
        return "half-life 30 d"
    told = unit(feature)
    behaviour = told in ("events", "users", "ratio", "JSON, by name") or "price_" in feature
    return LIFE if behaviour and feature != "log_price_ratio" else "–"


def written(text: str) -> str:
    """The page with what stands between its marks written anew.

    Raises ValueError where it has no marks.
    """
    before, opened, rest = text.partition(MARKS[0])
    _, closed, after = rest.partition(MARKS[1])
    if not (opened and closed):
        raise ValueError(f"the page lacks {' or '.join(MARKS)}; put both where the tables belong")
    return f"{before}{MARKS[0]}\n{reference()}\n{MARKS[1]}{after}"


def main() -> None:
    """Rewrite the page that is named."""
    page = Path(sys.argv[1])
    page.write_text(written(page.read_text(encoding="utf-8")), encoding="utf-8")


def _stored(name: str) -> str:
    table = FEATURE_TABLES[name]
    rows = [
        (column.name, str(column.dtype), column.meaning, window(column.name, view=name))
        for column in table.features
    ]
    head = (
        f"### `{name}`\n\nBy `{table.key}`: {table.meaning}.\n\n*Known from:* {KNOWN_FROM[name]}."
    )
    return f"{head}\n\n{_table(rows)}"


def _on_demand(table: OnDemandTable) -> str:
    rows = [
        (name, str(pa.float64()), meaning, window(name, view=table.name))
        for name, meaning in table.features.items()
    ]
    read = ", ".join(f"`{view}`" for view in table.inputs)
    head = (
        f"### `{table.name}` (on demand)\n\nFrom {read} and the moment asked for.\n\n"
        "*Known from:* the moment asked for; what it reads, from when that is known."
    )
    return f"{head}\n\n{_table(rows)}"


def _table(rows: Sequence[tuple[str, str, str, str]]) -> str:
    lines = [
        f"| `{name}` | {dtype} | {unit(name)} | {looks_back} | {meaning} |"
        for name, dtype, meaning, looks_back in rows
    ]
    head = ["| feature | type | unit | window | meaning |", "|---|---|---|---|---|"]
    return "\n".join([*head, *lines, ""])


if __name__ == "__main__":
    main()
