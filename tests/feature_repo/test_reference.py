"""The page of features says everything that is declared, and nothing else."""

import re
from pathlib import Path

import pytest

from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.on_demand_features import ON_DEMAND_TABLES
from feature_repo.reference import KNOWN_FROM, MARKS, reference, unit, window, written

PAGE = Path(__file__).parents[2] / "docs" / "features.md"


def test_the_page_is_what_the_declarations_say() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert text == written(text), "run `python -m feature_repo.reference docs/features.md`"


def test_every_feature_has_a_row_with_unit_and_window_and_every_view_its_moment() -> None:
    assert set(KNOWN_FROM) == set(FEATURE_TABLES)
    tables = {
        **{name: [one.name for one in table.features] for name, table in FEATURE_TABLES.items()},
        **{name: list(table.features) for name, table in ON_DEMAND_TABLES.items()},
    }
    parts = re.split(r"^### ", reference(), flags=re.MULTILINE)[1:]
    assert len(parts) == len(tables)
    for part, (name, features) in zip(parts, tables.items(), strict=True):
        assert part.startswith(f"`{name}`")
        assert "*Known from:* " in part
        rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| `")]
        assert [row[0].strip("| `") for row in rows] == features
        assert all(len(row) == 5 and all(cell.strip(" |") for cell in row) for row in rows)


@pytest.mark.parametrize(
    ("view", "feature", "told"),
    [
        ("user_activity", "spend_7d", ("money, the items' currency", "7d")),
        ("item_activity", "user_count_life", ("users", "life")),
        ("item_trend", "click_count_1h_now", ("events", "1h")),
        ("item_activity", "popularity", ("events", "half-life 7 d")),
        ("user_session", "session_last_us", ("µs since 1970 UTC", "visit")),
        ("user_history", "history_prices", ("money, the items' currency", "last 200 events")),
        ("user_history", "category_last_us", ("JSON, by name", "life")),
        ("item_profile", "price", ("money, the items' currency", "–")),
        ("user_affinities", "domain_affinities", ("JSON, by name", "half-life 30 d")),
    ],
)
def test_units_and_windows_follow_from_the_name(
    view: str, feature: str, told: tuple[str, str]
) -> None:
    assert (unit(feature), window(feature, view=view)) == told


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match=MARKS[0]):
        written("# Features\n")
