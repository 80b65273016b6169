from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import pytest

from feature_repo.encoders.encoder import Modality
from feature_repo.feature_tables import ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.contents import contents_of
from feature_repo.jobs.worklist import (
    SHARED,
    Worklist,
    grouped,
    make_worklist,
    work_batches,
    work_rows,
)
from tests.feature_repo.samples import CountingEncoder, write_items


def worklist(tmp_path: Path, *texts: str, item_ids: list[str] | None = None) -> Worklist:
    home = Home(tmp_path / "state")
    write_items(home, *({"item_id": f"i{n:04}", "title": text} for n, text in enumerate(texts)))
    with ThreadPoolExecutor(1) as pool:
        return make_worklist(
            home.items,
            folder=tmp_path / "work",
            known=[],
            table=ITEM_TEXT_EMBEDDING,
            encoder=CountingEncoder(Modality.TEXT),
            item_ids=item_ids,
            pool=pool,
        )


def values(table: object) -> list[str]:
    return [value[0] for value in table["value"].to_pylist()]  # type: ignore[index]


def test_texts_lie_by_length_and_equal_ones_are_one_row(tmp_path: Path) -> None:
    work = worklist(tmp_path, "a long text", "bb", "c", "bb", "a long text")
    (table,) = work.batches(10)
    assert values(table) == ["c", "bb", "a long text"]
    assert table["item_id"].to_pylist() == [["i0002"], ["i0001", "i0003"], ["i0000", "i0004"]]
    assert (work.chosen, work.contents, work.items, work.rows) == (5, 5, 5, 3)
    assert work.count({"i0001", "i0004", "unknown"}) == 2


def test_a_text_of_very_many_items_makes_several_rows(tmp_path: Path) -> None:
    work = worklist(tmp_path, *["same"] * (2 * SHARED + 1))
    (table,) = work.batches(10)
    assert [len(ids) for ids in table["item_id"].to_pylist()] == [SHARED, SHARED, 1]


def test_only_the_items_that_are_asked_for_are_looked_at(tmp_path: Path) -> None:
    work = worklist(tmp_path, "a", "bb", "ccc", item_ids=["i0002", "i0000"])
    assert (work.chosen, work.items) == (2, 2)


@pytest.mark.parametrize(("first", "count"), [(0, 7), (5, 4), (2_040, 20), (4_090, 20), (9_999, 3)])
def test_a_stretch_of_the_work_is_what_reading_all_of_it_gives(
    tmp_path: Path, first: int, count: int
) -> None:
    work = worklist(tmp_path, *(f"text {n:05}" for n in range(4_100)))
    everything = [value for part in work_batches(work.path, size=64) for value in values(part)]
    found = work_rows(work.path, first=first, count=count)
    assert values(found) == everything[first : first + count]


def test_contents_keep_the_order_of_the_items_whatever_their_index() -> None:
    items = pd.DataFrame(
        {
            "item_id": ["b", "a", "c"],
            "title": ["two", None, "one"],
            "description": [None, None, "more"],
            "image_path": [None, None, None],
            "listed_at": pd.Series([None] * 3, dtype="datetime64[us, UTC]"),
            "source": "shop",
        },
        index=[7, 7, 7],
    )
    with ThreadPoolExecutor(1) as pool:
        found, missing = contents_of(items, modality=Modality.TEXT, pool=pool)
    assert found["item_id"].to_pylist() == ["b", "c"]
    assert found["value"].to_pylist() == ["two", "one. more"]
    assert missing == []
    assert grouped(found)["item_id"].to_pylist() == [["b"], ["c"]]
