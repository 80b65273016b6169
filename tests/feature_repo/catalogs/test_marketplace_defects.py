"""The feed of new listings: good ones, and one of every defect, each of which the gate finds."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from feature_repo.catalogs.marketplace import MERELY_WARNED, Defect, new_listings, write_feed
from feature_repo.catalogs.source import SourceError
from validation import tables

AS_OF = datetime(2026, 5, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def feed(tmp_path_factory: pytest.TempPathFactory) -> tuple[pd.DataFrame, dict[str, Defect]]:
    return new_listings(photos=tmp_path_factory.mktemp("feed"), as_of=AS_OF, seed=5)


def planted(feed: tuple[pd.DataFrame, dict[str, Defect]], defect: Defect) -> pd.Series:
    frame, defects = feed
    item_id = next(item_id for item_id, found in defects.items() if found is defect)
    return frame[frame[tables.ITEM_ID] == item_id].iloc[-1]


def photo_of(feed: tuple[pd.DataFrame, dict[str, Defect]], defect: Defect) -> Path:
    return Path(planted(feed, defect)[tables.IMAGE_PATH])


def test_every_defect_is_planted_once_among_good_listings(
    feed: tuple[pd.DataFrame, dict[str, Defect]],
) -> None:
    frame, defects = feed
    assert sorted(defects.values()) == sorted(Defect)
    assert len(frame) == 40
    assert list(frame.columns) == tables.ITEMS.names
    assert frame[tables.ITEM_ID].duplicated().sum() == 1


def test_the_photos_are_broken_as_named(feed: tuple[pd.DataFrame, dict[str, Defect]]) -> None:
    assert photo_of(feed, Defect.EMPTY_PHOTO).stat().st_size == 0
    assert not photo_of(feed, Defect.ABSENT_PHOTO).exists()
    with pytest.raises(Image.UnidentifiedImageError):
        Image.open(photo_of(feed, Defect.UNREADABLE_PHOTO))
    with (
        pytest.raises(OSError, match="truncated"),
        Image.open(photo_of(feed, Defect.TRUNCATED_PHOTO)) as photo,
    ):
        photo.load()
    bomb = photo_of(feed, Defect.BOMB)
    assert bomb.stat().st_size < 100
    with pytest.raises(Image.DecompressionBombError):
        Image.open(bomb)
    with Image.open(photo_of(feed, Defect.BLANK_PHOTO)) as photo:
        assert photo.getcolors() == [(224 * 224, (200, 200, 200))]


def test_the_values_are_broken_as_named(feed: tuple[pd.DataFrame, dict[str, Defect]]) -> None:
    nothing = planted(feed, Defect.NOTHING_TO_SHOW)
    content = [tables.TITLE, tables.DESCRIPTION, tables.IMAGE_PATH]
    assert [nothing[name] for name in content] == [None, None, None]
    price = planted(feed, Defect.NAN_PRICE)[tables.PRICE]
    assert isinstance(price, float)
    assert price != price
    assert planted(feed, Defect.NEGATIVE_PRICE)[tables.PRICE] == -49.0
    assert planted(feed, Defect.WORD_PRICE)[tables.PRICE] == "on request"
    assert planted(feed, Defect.FUTURE)[tables.LISTED_AT] == AS_OF + timedelta(days=400)
    assert planted(feed, Defect.UNKNOWN_CURRENCY)[tables.CURRENCY] == "EURO"
    with pytest.raises(json.JSONDecodeError):
        json.loads(planted(feed, Defect.BROKEN_ATTRIBUTES)[tables.ATTRIBUTES])


def test_the_gate_holds_back_exactly_the_planted_rows(
    feed: tuple[pd.DataFrame, dict[str, Defect]],
) -> None:
    from validation.gate import check_items

    frame, defects = feed
    found = check_items(frame, known_items=None, now=AS_OF, source="marketplace")
    blocked = {item_id for item_id, defect in defects.items() if defect not in MERELY_WARNED}
    ids = frame[tables.ITEM_ID]
    twice = {item_id for item_id, defect in defects.items() if defect is Defect.DUPLICATE_ID}
    assert set(found.quarantined["key"].fillna("")) == blocked
    assert len(found.quarantined) == len(blocked)
    assert set(found.accepted[tables.ITEM_ID]) == set(ids) - (blocked - twice)
    blank = {item_id for item_id, defect in defects.items() if defect in MERELY_WARNED}
    assert blank <= set(found.warnings["key"])


def test_the_same_seed_gives_the_same_feed(
    feed: tuple[pd.DataFrame, dict[str, Defect]], tmp_path: Path
) -> None:
    frame, defects = new_listings(photos=tmp_path, as_of=AS_OF, seed=5)
    assert defects == feed[1]
    pd.testing.assert_frame_equal(
        frame.drop(columns=tables.IMAGE_PATH), feed[0].drop(columns=tables.IMAGE_PATH)
    )


def test_the_written_feed_reads_back_as_it_was(
    feed: tuple[pd.DataFrame, dict[str, Defect]], tmp_path: Path
) -> None:
    path, defects = write_feed(tmp_path / "feed", as_of=AS_OF, seed=5)
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert path.name == "items.jsonl"
    assert defects == feed[1]
    for name in (tables.ITEM_ID, tables.TITLE, tables.CURRENCY):
        assert [row.get(name) for row in rows] == feed[0][name].tolist()
    used = [row[tables.IMAGE_PATH] for row in rows if tables.IMAGE_PATH in row]
    absent = [name for name in used if not (path.parent / name).exists()]
    assert absent == ["photos/absent.jpg"]


def test_a_feed_without_room_for_the_defects_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="at least 30"):
        new_listings(photos=tmp_path, as_of=AS_OF, count=20)
