import gzip
import json
from pathlib import Path

import pandas as pd
import pytest

from feature_repo.catalogs import amazon_reviews
from feature_repo.catalogs.amazon_reviews import parsed_price
from feature_repo.catalogs.columns import UNREADABLE
from feature_repo.catalogs.source import Ordering, SourceError
from validation import tables

META_2023 = {
    "main_category": "Amazon Home",
    "title": "Oak Lamp",
    "average_rating": 4.6,
    "rating_number": 120,
    "features": ["Warm light", "Solid oak"],
    "description": ["A lamp for the desk."],
    "price": 21.99,
    "images": [{"large": "https://example.org/1.jpg", "variant": "MAIN"}],
    "store": "Lumen",
    "categories": ["Home & Kitchen", "Lighting", "Lamps"],
    "details": {
        "Color": "Oak",
        "Item model number": "L-1",
        "Date First Available": "June 8, 2013",
        "Best Sellers Rank": {"Lamps": 12},
    },
    "parent_asin": "B01",
    "bought_together": None,
}
REVIEW_2023 = {
    "rating": 5.0,
    "title": "Nice",
    "text": "Good",
    "asin": "B01X",
    "parent_asin": "B01",
    "user_id": "AG1",
    "timestamp": 1588687728923,
    "verified_purchase": True,
}
META_2018 = {
    "category": ["Home & Kitchen", "Bath"],
    "description": ["Soft towel"],
    "title": "Towel",
    "brand": "Soft Co",
    "feature": ["Cotton"],
    "price": "$1,012.50",
    "asin": "0001",
    "rank": "1 in Bath",
    "imageURLHighRes": ["https://example.org/2.jpg"],
}
REVIEW_2018 = {
    "overall": 4.0,
    "reviewerID": "A2",
    "asin": "0001",
    "reviewText": "ok",
    "unixReviewTime": 1394496000,
}


def lines(path: Path, *rows: object) -> None:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def test_the_2023_layout_is_read(tmp_path: Path) -> None:
    lines(tmp_path / "meta_Home_and_Kitchen.jsonl.gz", META_2023)
    lines(tmp_path / "Home_and_Kitchen.jsonl.gz", REVIEW_2023)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "B01.jpg").write_bytes(b"x")
    source = amazon_reviews.read(tmp_path)
    assert source.name == "amazon-reviews"
    assert source.ordering is Ordering.TIME
    item = source.items.iloc[0].to_dict()
    assert item == {
        tables.ITEM_ID: "B01",
        tables.TITLE: "Oak Lamp",
        tables.DESCRIPTION: "A lamp for the desk. Warm light Solid oak",
        tables.CATEGORY: "Home & Kitchen > Lighting > Lamps",
        tables.BRAND: "Lumen",
        tables.PRICE: 21.99,
        tables.CURRENCY: "USD",
        tables.ATTRIBUTES: '{"Color": "Oak"}',
        tables.DOMAIN: "Home_and_Kitchen",
        tables.IMAGE_PATH: str(tmp_path / "images" / "B01.jpg"),
        tables.SOURCE: "amazon-reviews",
    }
    assert source.events.iloc[0].to_dict() == {
        tables.USER_ID: "AG1",
        tables.ITEM_ID: "B01",
        tables.VALUE: 5.0,
        tables.EVENT_TIMESTAMP: pd.Timestamp("2020-05-05 14:08:48.923", tz="UTC"),
        tables.EVENT_TYPE: tables.RATING,
        tables.SOURCE: "amazon-reviews",
    }


def test_the_core_csv_of_2023_is_read_in_parts(tmp_path: Path) -> None:
    lines(tmp_path / "meta_All_Beauty.jsonl", META_2023)
    header = "user_id,parent_asin,rating,timestamp"
    lines(tmp_path / "All_Beauty.train.csv", header, "AG1,B01,5.0,1588687728923")
    lines(tmp_path / "All_Beauty.test.csv", f"{header},history", "AG1,B01,3.0,1588687728924,B01")
    events = amazon_reviews.read(tmp_path).events
    assert sorted(events[tables.VALUE]) == ["3.0", "5.0"]
    assert events[tables.EVENT_TIMESTAMP].max() == pd.Timestamp("2020-05-05 14:08:48.924Z")


def test_the_2018_layout_is_read_with_its_leading_zeros(tmp_path: Path) -> None:
    lines(tmp_path / "meta_Home_and_Kitchen.json.gz", META_2018)
    lines(tmp_path / "Home_and_Kitchen_5.json.gz", REVIEW_2018)
    source = amazon_reviews.read(tmp_path)
    item, event = source.items.iloc[0], source.events.iloc[0]
    assert item[tables.ITEM_ID] == "0001"
    assert item[tables.DESCRIPTION] == "Soft towel Cotton"
    assert item[tables.CATEGORY] == "Home & Kitchen > Bath"
    assert item[tables.BRAND] == "Soft Co"
    assert item[tables.PRICE] == 1012.5
    assert item[tables.IMAGE_PATH] is None
    assert event[tables.USER_ID] == "A2"
    assert event[tables.VALUE] == 4.0
    assert event[tables.EVENT_TIMESTAMP] == pd.Timestamp("2014-03-11", tz="UTC")


def test_a_broken_line_loses_neither_itself_nor_its_neighbours(tmp_path: Path) -> None:
    lines(tmp_path / "meta_Home.jsonl", META_2023, '{"parent_asin": "B02", "tit')
    lines(tmp_path / "Home.jsonl", "oops", REVIEW_2023)
    source = amazon_reviews.read(tmp_path)
    assert source.items[tables.ITEM_ID].tolist() == ["B01", None]
    assert source.items[UNREADABLE].tolist() == [
        None,
        'meta_Home.jsonl, line 2: {"parent_asin": "B02", "tit',
    ]
    assert source.events[tables.USER_ID].tolist() == [None, "AG1"]
    assert source.events[UNREADABLE].iloc[0] == "Home.jsonl, line 1: oops"


@pytest.mark.parametrize(
    ("price", "read"),
    [
        ("$12.99", 12.99),
        ("12", 12.0),
        ("$1,299.00", 1299.0),
        ("", None),
        (None, None),
        (8.5, 8.5),
        ("$5.00 - $9.00", "$5.00 - $9.00"),
        ("from 3", "from 3"),
    ],
)
def test_a_price_is_one_number_or_travels_as_it_is(price: object, read: object) -> None:
    assert parsed_price(price) == read


def test_several_categories_share_their_users(tmp_path: Path) -> None:
    lines(tmp_path / "meta_Home.jsonl", META_2023)
    lines(tmp_path / "Home.jsonl", REVIEW_2023)
    lines(tmp_path / "meta_Beauty.jsonl", {**META_2023, "parent_asin": "B02"})
    lines(tmp_path / "Beauty.jsonl", {**REVIEW_2023, "parent_asin": "B02"})
    source = amazon_reviews.read(tmp_path)
    assert dict(zip(source.items[tables.ITEM_ID], source.items[tables.DOMAIN], strict=True)) == {
        "B01": "Home",
        "B02": "Beauty",
    }
    assert set(source.events[tables.USER_ID]) == {"AG1"}


def test_missing_and_doubled_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="has no meta file"):
        amazon_reviews.read(tmp_path)
    lines(tmp_path / "meta_Home.jsonl", META_2023)
    with pytest.raises(SourceError, match="Home but not its reviews"):
        amazon_reviews.read(tmp_path)
    lines(tmp_path / "Home.jsonl", REVIEW_2023)
    lines(tmp_path / "Home.csv", "user_id,parent_asin,rating,timestamp", "u,B01,1,1588687728923")
    with pytest.raises(SourceError, match=r"Home\.csv and Home\.jsonl, copies"):
        amazon_reviews.read(tmp_path)
    (tmp_path / "Home.jsonl").unlink()
    lines(tmp_path / "Home.csv", "user,asin", "u,B01")
    with pytest.raises(SourceError, match=r"lacks the column\(s\) user_id, parent_asin"):
        amazon_reviews.read(tmp_path)
