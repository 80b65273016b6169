import pandas as pd

from feature_repo.jobs.upsert import upsert
from validation import tables
from validation.coercion import coerce
from validation.tables import ITEMS


def items(source: str, *, price: float = 1.0, **titles: str | None) -> pd.DataFrame:
    frame = pd.DataFrame(
        {
            tables.ITEM_ID: list(titles),
            tables.TITLE: list(titles.values()),
            tables.PRICE: price,
            tables.SOURCE: source,
        }
    )
    return coerce(frame, ITEMS).frame


def test_new_rows_go_in_known_ones_change_and_others_stay() -> None:
    before = items("s", a="A", b="B", c=None)
    change = upsert(ITEMS, before, items("s", b="B2", c=None, d="D"), source="s", whole=False)
    assert change.rows[tables.ITEM_ID].tolist() == ["a", "b", "c", "d"]
    assert change.rows[tables.TITLE].tolist() == ["A", "B2", None, "D"]
    assert (change.inserted, change.updated, change.unchanged, change.removed) == (1, 1, 1, 0)


def test_the_same_rows_again_change_nothing() -> None:
    rows = items("s", a="A", b="B")
    once = upsert(ITEMS, ITEMS.empty(), rows, source="s", whole=False)
    twice = upsert(ITEMS, once.rows, rows, source="s", whole=False)
    pd.testing.assert_frame_equal(once.rows, twice.rows)
    assert (twice.inserted, twice.updated, twice.unchanged, twice.removed) == (0, 0, 2, 0)


def test_a_whole_source_loses_the_rows_it_no_longer_has() -> None:
    change = upsert(ITEMS, items("s", a="A", b="B"), items("s", b="B"), source="s", whole=True)
    assert change.rows[tables.ITEM_ID].tolist() == ["b"]
    assert (change.unchanged, change.removed) == (1, 1)


def test_other_sources_keep_their_rows_and_their_place() -> None:
    both = upsert(ITEMS, items("s", a="A"), items("t", x="X"), source="t", whole=False).rows
    change = upsert(ITEMS, both, items("s", a="A2", b="B"), source="s", whole=True)
    assert change.rows[tables.ITEM_ID].tolist() == ["a", "b", "x"]
    assert change.rows[tables.SOURCE].tolist() == ["s", "s", "t"]
    assert (change.inserted, change.updated, change.removed) == (1, 1, 0)


def test_a_change_of_one_number_is_an_update() -> None:
    before = items("s", a="A", price=1.0)
    change = upsert(ITEMS, before, items("s", a="A", price=2.0), source="s", whole=False)
    assert (change.updated, change.unchanged) == (1, 0)


def test_no_rows_into_no_rows_is_an_empty_typed_table() -> None:
    change = upsert(ITEMS, ITEMS.empty(), ITEMS.empty(), source="s", whole=False)
    pd.testing.assert_frame_equal(change.rows, ITEMS.empty())
