from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from benchmarks.defects import watermarked
from tests.validation.conftest import NOW
from validation import gate
from validation.photos import PhotoProblem, inspect_all

DATA = Path(__file__).parents[2].parent / "shared" / "data"


def table(folder: str, name: str) -> pd.DataFrame:
    path = DATA / folder / name
    if not path.exists():
        pytest.skip(f"the real data set {folder} is not beside the project")
    return pd.read_parquet(path)


@pytest.mark.shared_data
def test_real_photos_and_listings_all_pass() -> None:
    items = table("ikea", "items.parquet")
    folder = DATA / "ikea"
    items["image_path"] = [str(folder / path) if path else None for path in items["image_path"]]
    result = gate.check_items(items, known_items=None, now=NOW, source="ikea")
    assert result.quarantined["reasons"].tolist() == []
    assert len(result.accepted) == len(items)


@pytest.mark.shared_data
def test_real_photos_bear_no_mark_until_one_is_put_on_them(tmp_path: Path) -> None:
    items = table("ikea", "items.parquet")
    paths = [str(DATA / "ikea" / path) for path in items["image_path"] if path][:300]
    seen = inspect_all(paths)
    assert not any(PhotoProblem.WATERMARK in photo.problems for photo in seen.values())
    for number, path in enumerate(paths):
        with Image.open(path) as image:
            watermarked(image.convert("RGB")).save(tmp_path / f"{number}.jpg")
    marked = inspect_all([str(path) for path in tmp_path.iterdir()])
    told = [PhotoProblem.WATERMARK in photo.problems for photo in marked.values()]
    assert sum(told) >= 0.7 * len(told)


@pytest.mark.shared_data
def test_real_purchases_all_pass_and_those_of_an_unlisted_item_do_not() -> None:
    items = table("online_retail_dev_y1", "items.parquet")
    events = table("online_retail_dev_y1", "interactions.parquet")
    events = events.rename(columns={"timestamp": "event_timestamp"}).assign(event_type="purchase")
    known = set(items["item_id"]) - {"10002"}
    result = gate.check_events(events, known_item_ids=known, now=NOW, source="shop")
    unlisted = (events["item_id"] == "10002").to_numpy().nonzero()[0]
    assert result.quarantined["row_number"].tolist() == unlisted.tolist()
    assert result.reason_counts == {"known_item": len(unlisted)}
