from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate, quarantine
from validation.errors import QuarantineError
from validation.gate import GateResult


def items(frame: pd.DataFrame) -> GateResult:
    return gate.check_items(frame, known_items=None, now=NOW)


def keys(folder: Path) -> list[str | None]:
    held = quarantine.load(folder, "items")
    return held["key"].tolist()


def test_a_table_that_nothing_was_held_back_from_is_empty_and_typed(tmp_path: Path) -> None:
    held = quarantine.load(tmp_path, "items")
    assert held.empty
    assert list(held.columns) == quarantine.SCHEMA.names


def test_the_same_rows_again_add_nothing_and_keep_when_they_were_first_seen(
    listings: Listings, tmp_path: Path
) -> None:
    result = items(listings("a", "b", None, None, price=["x", "1", "1", "1"]))
    assert quarantine.store(result, folder=tmp_path, source="shop", now=NOW) == 3
    before = quarantine.load(tmp_path, "items")
    later = NOW + timedelta(days=1)
    assert quarantine.store(result, folder=tmp_path, source="shop", now=later) == 3
    pd.testing.assert_frame_equal(quarantine.load(tmp_path, "items"), before)
    assert keys(tmp_path) == ["a", None, None]
    assert before["first_seen"].tolist() == [pd.Timestamp(NOW)] * 3
    assert before["reasons"].tolist()[0] == [
        "Row 0: price is 'x'; expected a number; give a price such as 12.50, or leave it empty; "
        'decimal commas are read by decimal = "," in mapping.toml.'
    ]


def test_identical_rows_without_id_are_each_held(listings: Listings, tmp_path: Path) -> None:
    result = items(listings(None, None, title=["x", "x"]))
    assert quarantine.store(result, folder=tmp_path, source="shop", now=NOW) == 2


def test_a_row_leaves_when_its_mended_version_passes(listings: Listings, tmp_path: Path) -> None:
    bad = items(listings("a", "b", price=["x", "y"]))
    quarantine.store(bad, folder=tmp_path, source="shop", now=NOW)
    mended = items(listings("a", price=["2.50"]))
    quarantine.store(mended, folder=tmp_path, source="shop", now=NOW)
    assert keys(tmp_path) == ["b"]


def test_a_mended_row_of_another_source_releases_nothing(
    listings: Listings, tmp_path: Path
) -> None:
    quarantine.store(items(listings("a", price=["x"])), folder=tmp_path, source="shop", now=NOW)
    other = items(listings("a", source=["other"]))
    quarantine.store(other, folder=tmp_path, source="other", now=NOW)
    assert keys(tmp_path) == ["a"]


def test_a_repeat_of_an_accepted_id_stays_in_quarantine(listings: Listings, tmp_path: Path) -> None:
    result = items(listings("a", "a"))
    for _ in range(2):
        quarantine.store(result, folder=tmp_path, source="shop", now=NOW)
        assert keys(tmp_path) == ["a"]


def test_rows_are_released_by_source_key_or_fingerprint(listings: Listings, tmp_path: Path) -> None:
    bad = items(listings("a", "b", "c", price=["x", "x", "x"]))
    quarantine.store(bad, folder=tmp_path, source="shop", now=NOW)
    assert quarantine.release(tmp_path, "items", source="other") == 0
    assert quarantine.release(tmp_path, "items", source="shop", keys=["b"]) == 1
    assert keys(tmp_path) == ["a", "c"]
    print_of_a = quarantine.load(tmp_path, "items")["fingerprint"][0]
    assert quarantine.release(tmp_path, "items", fingerprints=[print_of_a]) == 1
    assert quarantine.release(tmp_path, "items") == 1
    assert keys(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["items.parquet"]


def test_a_broken_quarantine_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "items.parquet").write_bytes(b"not parquet")
    with pytest.raises(QuarantineError, match=r"items\.parquet cannot be read"):
        quarantine.load(tmp_path, "items")
