import json
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from feature_repo.catalogs import table
from feature_repo.catalogs.columns import UNREADABLE
from feature_repo.catalogs.source import Ordering, SourceData, SourceError
from validation import gate, tables

SHARED = Path(__file__).parents[3].parent / "shared" / "data"


def shop(folder: Path, *, items: str, events: str | None = None, mapping: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "items.csv").write_text(items)
    if events is not None:
        (folder / "events.csv").write_text(events)
    if mapping:
        (folder / "mapping.toml").write_text(mapping)
    return folder


def column(frame: pd.DataFrame, name: str) -> list[object]:
    return [None if pd.isna(value) else value for value in frame[name].tolist()]


def test_common_names_are_recognised_in_any_spelling(tmp_path: Path) -> None:
    source = table.read(
        shop(
            tmp_path / "lamps",
            items="Product ID,Product Name,Price,First Seen\n007,Lamp,9.5,2020-01-01\n",
            events="customerId,product-id,Invoice Date,Qty,Invoice No\nu1,007,2020-01-02,2,b1\n",
        )
    )
    assert source.name == "lamps"
    assert source.ordering is Ordering.TIME
    item = source.items.iloc[0]
    assert item[tables.ITEM_ID] == "007"
    assert item[tables.TITLE] == "Lamp"
    assert item[tables.PRICE] == "9.5"
    assert item[tables.LISTED_AT] == pd.Timestamp("2020-01-01", tz="UTC")
    event = source.events.iloc[0]
    assert event[tables.USER_ID] == "u1"
    assert event[tables.EVENT_TYPE] == tables.PURCHASE
    assert event[tables.EVENT_TIMESTAMP] == pd.Timestamp("2020-01-02", tz="UTC")
    assert event[tables.QUANTITY] == "2"
    assert event[tables.SESSION_ID] == "b1"
    assert set(source.items[tables.SOURCE]) == {"lamps"}
    assert set(source.events[tables.SOURCE]) == {"lamps"}


def test_raw_values_travel_and_no_row_is_dropped(tmp_path: Path) -> None:
    source = table.read(
        shop(
            tmp_path / "s",
            items="item_id,title,price\na,A,n/a\na,A,-3\n,B,\n",
            events="user_id,item_id,timestamp\nu,a,2020-01-01\nu,gone,later\n,a,\n",
        )
    )
    assert column(source.items, tables.ITEM_ID) == ["a", "a", None]
    assert column(source.items, tables.PRICE) == ["n/a", "-3", None]
    assert column(source.events, tables.EVENT_TIMESTAMP) == [
        pd.Timestamp("2020-01-01", tz="UTC"),
        "later",
        None,
    ]


def test_extra_columns_become_attributes_without_nulls_and_addresses(tmp_path: Path) -> None:
    source = table.read(
        shop(
            tmp_path / "s",
            items="item_id,title,size,color,image_url\na,A,XL,red,http://x/y.jpg\nb,B,,,\n",
        )
    )
    assert column(source.items, tables.ATTRIBUTES) == ['{"color": "red", "size": "XL"}', None]


def test_attributes_of_a_json_line_are_merged_with_its_extra_keys(tmp_path: Path) -> None:
    line = {
        "id": 12,
        "name": "Vase",
        "attributes": {"style": "boho"},
        "categories": ["Decor", "Vases"],
        "height": 20,
    }
    (tmp_path / "items.jsonl").write_text(json.dumps(line) + "\n")
    items = table.read(tmp_path).items
    assert column(items, tables.ITEM_ID) == ["12"]
    assert column(items, tables.CATEGORY) == ["Decor > Vases"]
    assert column(items, tables.ATTRIBUTES) == ['{"height": 20, "style": "boho"}']


def test_attributes_that_begin_as_json_and_are_none_reach_the_gate_as_they_are(
    tmp_path: Path,
) -> None:
    lines = [
        {"id": 1, "name": "Vase", "attributes": '{"style": "boho"', "height": 20},
        {"id": 2, "name": "Bowl", "attributes": "hand made", "height": 9},
    ]
    (tmp_path / "items.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    items = table.read(tmp_path).items
    assert column(items, tables.ATTRIBUTES) == [
        '{"style": "boho"',
        '{"attributes": "hand made", "height": 9}',
    ]
    checked = gate.check_items(
        items.assign(source="table"),
        known_items=tables.ITEMS.empty(),
        now=datetime(2026, 1, 1, tzinfo=UTC),
    )
    assert list(checked.quarantined["key"]) == ["1"]
    assert "attributes" in str(checked.quarantined["reasons"].iloc[0])


def test_integer_ids_are_text_even_where_a_null_made_them_floats(tmp_path: Path) -> None:
    pd.DataFrame({"item_id": [1.0, None], "title": ["A", "B"]}).to_parquet(
        tmp_path / "items.parquet"
    )
    assert column(table.read(tmp_path).items, tables.ITEM_ID) == ["1", None]


def test_a_photo_is_named_relative_to_the_folder(tmp_path: Path) -> None:
    items = table.read(
        shop(tmp_path / "s", items="item_id,photo\na,images/a.jpg\nb,/abs/b.jpg\nc,\n")
    ).items
    assert column(items, tables.IMAGE_PATH) == [
        str(tmp_path / "s" / "images" / "a.jpg"),
        "/abs/b.jpg",
        None,
    ]


def test_photos_named_by_item_id_are_found_without_a_column(tmp_path: Path) -> None:
    folder = shop(tmp_path / "s", items="item_id\na\nb\n")
    (folder / "images").mkdir()
    (folder / "images" / "a.jpg").write_bytes(b"x")
    items = table.read(folder).items
    assert column(items, tables.IMAGE_PATH) == [str(folder / "images" / "a.jpg"), None]


def test_a_rating_column_makes_ratings(tmp_path: Path) -> None:
    events = table.read(
        shop(tmp_path / "s", items="item_id,title\na,A\n", events="user_id,item_id,stars\nu,a,4\n")
    ).events
    assert column(events, tables.EVENT_TYPE) == [tables.RATING]
    assert column(events, tables.VALUE) == ["4"]


def test_seq_is_an_order_and_nothing_is_no_order(tmp_path: Path) -> None:
    items = "item_id,title\na,A\n"
    ordered = table.read(shop(tmp_path / "o", items=items, events="user_id,item_id,seq\nu,a,3\n"))
    unordered = table.read(shop(tmp_path / "n", items=items, events="user_id,item_id\nu,a\n"))
    start = pd.Timestamp("2000-01-01", tz="UTC")
    assert ordered.ordering is Ordering.SEQUENCE
    assert column(ordered.events, tables.EVENT_TIMESTAMP) == [start + pd.Timedelta(microseconds=3)]
    assert unordered.ordering is Ordering.NONE
    assert column(unordered.events, tables.EVENT_TIMESTAMP) == [start]


def test_when_a_late_event_reached_the_shop_is_read_by_its_names(tmp_path: Path) -> None:
    events = (
        "user,sku,timestamp,Server Time\n"
        "u,a,2026-01-01T10:00,2026-01-02T00:00+02:00\n"
        "u,a,2026-01-03,\n"
    )
    source = table.read(shop(tmp_path / "s", items="sku,title\na,A\n", events=events))
    received = source.events[tables.RECEIVED_AT]
    assert received.iloc[0] == pd.Timestamp("2026-01-01T22:00", tz="UTC")
    assert received.isna().tolist() == [False, True]


def test_a_catalogue_alone_has_no_events(tmp_path: Path) -> None:
    source = table.read(shop(tmp_path / "s", items="item_id,title\na,A\n"))
    assert source.ordering is Ordering.NONE
    assert len(source.events) == 0
    assert source.events.columns.tolist() == tables.EVENTS.names


MAPPING = """
source = "winkel"
[items]
file = "artikelen.csv"
item_id = "nummer"
title = "naam"
ignore = ["magazijn"]
[items.constants]
currency = "EUR"
[events]
file = "log.csv"
user_id = "klant"
item_id = "nummer"
event_timestamp = "moment"
timestamp_format = "%d-%m-%Y %H:%M"
timezone = "Europe/Amsterdam"
event_type = "soort"
[events.event_types]
bekeken = "click"
"""


def test_a_mapping_names_files_columns_constants_and_words(tmp_path: Path) -> None:
    (tmp_path / "artikelen.csv").write_text("nummer,naam,magazijn,kleur\n01,Lamp,A,rood\n")
    (tmp_path / "log.csv").write_text(
        "klant,nummer,moment,soort\nk,01,31-12-2020 23:30,bekeken\nk,01,1-1-2021 0:30,koop\n"
    )
    (tmp_path / "mapping.toml").write_text(MAPPING)
    source = table.read(tmp_path)
    assert source.name == "winkel"
    item = source.items.iloc[0]
    assert item[tables.ITEM_ID] == "01"
    assert item[tables.CURRENCY] == "EUR"
    assert item[tables.ATTRIBUTES] == '{"kleur": "rood"}'
    assert column(source.events, tables.EVENT_TYPE) == ["click", "koop"]
    assert column(source.events, tables.EVENT_TIMESTAMP)[0] == pd.Timestamp(
        datetime(2020, 12, 31, 22, 30, tzinfo=UTC)
    )


def test_a_decimal_comma_is_read_where_the_mapping_says_so(tmp_path: Path) -> None:
    folder = shop(
        tmp_path / "s",
        items="item_id;title;price;width\na;A;1.299,50;12,5\nb;B;39,90;8\nc;C;on request;8\n",
        events="user_id;item_id;quantity;unit_price\nu;a;2;1.299,50\n",
        mapping='[items]\ndecimal = ","\n[events]\ndecimal = ","\n',
    )
    source = table.read(folder)
    assert column(source.items, tables.PRICE) == ["1299.50", "39.90", "on request"]
    assert column(source.items, tables.ATTRIBUTES)[0] == '{"width": "12,5"}'
    assert column(source.events, tables.UNIT_PRICE) == ["1299.50"]
    assert column(source.events, tables.QUANTITY) == ["2"]


def test_a_mapping_elsewhere_is_taken_where_it_is_given(tmp_path: Path) -> None:
    folder = shop(tmp_path / "s", items="nr,title\n1,A\n")
    mapping = tmp_path / "mine.toml"
    mapping.write_text('[items]\nitem_id = "nr"\n')
    assert column(table.read(folder, mapping=mapping).items, tables.ITEM_ID) == ["1"]


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        ('[items]\ntitel = "x"\n', r"\[items\] titel is not a key.*did you mean 'title'"),
        ('[event]\nuser_id = "x"\n', r"event is not a key.*did you mean 'events'"),
        ('[items]\ntitle = "nam"\n', r"title = 'nam', but items.csv has no.*mean 'name'"),
        ("[items]\ntitle = 3\n", "title is 3, expected text"),
        ('[items]\nignore = "x"\n', "ignore is 'x', expected a list"),
        ("[items.constants]\ncurrency = [1]\n", r"currency is \[1\], expected one value"),
        ('[events.event_types]\nview = "look"\n', "view = 'look', expected one of impression"),
        ('[items]\ndecimal = ";"\n', r"\[items\] decimal is ';', expected ',' or '.'"),
        ("source = \n", "cannot be read as TOML"),
        ('source = ""\n', "source is ''"),
    ],
)
def test_a_wrong_mapping_is_named(tmp_path: Path, mapping: str, message: str) -> None:
    folder = shop(tmp_path / "s", items="item_id,name\na,A\n", mapping=mapping)
    with pytest.raises(SourceError, match=message):
        table.read(folder)


def test_a_missing_folder_and_a_missing_items_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="gone does not exist"):
        table.read(tmp_path / "gone")
    with pytest.raises(SourceError, match=r"has no items file.*\[items\] file = "):
        table.read(tmp_path)


@pytest.mark.parametrize(
    ("items", "events", "message"),
    [
        ("nr,title\n1,A\n", None, r"items\.csv has no column for item_id: it has nr, title.*"),
        ("item_id,x\n1,A\n", None, r"no column for title.*mapping\.toml: title = "),
        ("item_id,title\n1,A\n", "who,item_id\nu,1\n", r"events\.csv has no column for user_id"),
        ("item_id,title\n1,A\n", "user_id,what\nu,1\n", r"no column for item_id.*\[events\]"),
    ],
)
def test_a_missing_column_names_file_columns_and_the_line_to_write(
    tmp_path: Path, items: str, events: str | None, message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        table.read(shop(tmp_path / "s", items=items, events=events))


def test_two_logs_are_refused(tmp_path: Path) -> None:
    folder = shop(tmp_path / "s", items="item_id,title\n1,A\n", events="user_id,item_id\nu,1\n")
    (folder / "interactions.csv").write_text("user_id,item_id\nu,1\n")
    with pytest.raises(SourceError, match=r"events\.csv and interactions\.csv.*\[events\] file"):
        table.read(folder)


def test_a_row_that_cannot_be_read_travels_with_its_text(tmp_path: Path) -> None:
    items = table.read(shop(tmp_path / "s", items="item_id,title\na,A\nb,B,B\n")).items
    assert column(items, tables.ITEM_ID) == ["a", None]
    assert column(items, UNREADABLE) == [None, "line 3: b,B,B"]
    assert column(items, tables.ATTRIBUTES) == [None, None]


def shared(name: str) -> SourceData:
    if not (SHARED / name).is_dir():
        pytest.skip(f"the real data set {name} is not beside the project")
    return table.read(SHARED / name)


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("name", "items", "events", "ordering"),
    [
        ("online_retail_dev_y1", 4006, 406_295, Ordering.TIME),
        ("ikea", 2191, 2798, Ordering.NONE),
        ("amazon23_beauty_health_handmade", 3700, 25_023, Ordering.TIME),
        ("amazon18_industrial_and_scientific", 3686, 22_743, Ordering.SEQUENCE),
        ("clothing_images", 3781, 0, Ordering.NONE),
    ],
)
def test_real_data_loads_unchanged(name: str, items: int, events: int, ordering: Ordering) -> None:
    source = shared(name)
    assert (len(source.items), len(source.events), source.ordering) == (items, events, ordering)
    assert source.events[tables.EVENT_TIMESTAMP].notna().all()
    assert source.events[tables.ITEM_ID].isin(source.items[tables.ITEM_ID]).all()


@pytest.mark.shared_data
def test_real_photos_are_where_the_table_says() -> None:
    items = shared("ikea").items
    paths = items[tables.IMAGE_PATH].dropna()
    assert len(paths) == 2187
    assert all(Path(path).is_file() for path in paths)
    attributes = json.loads(items[tables.ATTRIBUTES].iloc[0])
    assert attributes == {"color": "Softwood,white", "object_class": "other", "series": "MLA"}


def test_integers_of_parquet_with_nulls_pass_the_gate_exactly(tmp_path: Path) -> None:
    """Ids, numbers, times and attributes; two people of neighbouring large ids stay two."""
    items = {
        "item_id": [2**53 + 1, 2**53],
        "title": ["Oak table", "Pine chair"],
        "price": [12, None],
        "listed_at": [1577934245, None],
        "available": [1, None],
        "shelves": [2**53 + 1, None],
    }
    events = {
        "user_id": [2**60 + 1, 2**60, None],
        "item_id": [2**53 + 1, 2**53 + 1, 2**53],
        "timestamp": [1577934245, None, 1577934246],
        "quantity": [None, 1, 2],
    }
    pq.write_table(pa.table(items), tmp_path / "items.parquet")
    pq.write_table(pa.table(events), tmp_path / "events.parquet")
    source, now = table.read(tmp_path), datetime(2026, 1, 1, tzinfo=UTC)
    accepted = gate.check_items(source.items, known_items=None, now=now).accepted
    assert column(accepted, tables.ITEM_ID) == ["9007199254740993", "9007199254740992"]
    assert column(accepted, tables.PRICE) == [12.0, None]
    assert column(accepted, tables.AVAILABLE) == [True, None]
    assert column(accepted, tables.ATTRIBUTES) == ['{"shelves": 9007199254740993}', None]
    moment = pd.Timestamp("2020-01-02 03:04:05", tz="UTC")
    assert column(accepted, tables.LISTED_AT) == [moment, None]
    judged = gate.check_events(
        source.events, known_item_ids=accepted[tables.ITEM_ID], now=now, reported=False
    )
    assert column(judged.accepted, tables.USER_ID) == [str(2**60 + 1)]
    assert judged.quarantined["checks"].tolist() == [
        ["event_timestamp_present"],
        ["user_id_present"],
    ]
    assert f'"user_id": "{2**60}"' in judged.quarantined["row"].iloc[0]


def test_a_sequence_of_integers_with_a_null_is_an_order(tmp_path: Path) -> None:
    pq.write_table(pa.table({"item_id": ["a"], "title": ["Oak"]}), tmp_path / "items.parquet")
    log = {"user_id": ["u", "v"], "item_id": ["a", "a"], "seq": [3, None]}
    pq.write_table(pa.table(log), tmp_path / "events.parquet")
    read = column(table.read(tmp_path).events, tables.EVENT_TIMESTAMP)
    assert read == [pd.Timestamp("2000-01-01 00:00:00.000003", tz="UTC"), None]


@pytest.mark.parametrize("value", ["1" * 5_000, "[" * 100_000 + "]" * 100_000])
def test_attributes_that_python_cannot_hold_are_held_and_stop_nothing(
    tmp_path: Path, value: str
) -> None:
    items = f'item_id,title,attributes\na,Oak table,"{{""n"": {value}}}"\nb,Pine chair,\n'
    source = table.read(shop(tmp_path / "s", items=items))
    result = gate.check_items(source.items, known_items=None, now=datetime(2026, 1, 1, tzinfo=UTC))
    assert result.accepted[tables.ITEM_ID].tolist() == ["b"]
    assert result.quarantined["checks"].tolist() == [["attributes_readable"]]


def test_a_photo_that_is_no_path_and_a_title_that_is_no_text_are_held(tmp_path: Path) -> None:
    photos = pa.array([["x.jpg", "y.jpg"], ["z.jpg"], None])
    titles = pa.array([b"Oak table", b"Pine chair", b"\xff\xd8"])
    ids = pa.array([b"a", b"b", b"c"])
    columns = {"item_id": ids, "title": titles, "image": photos}
    pq.write_table(pa.table(columns), tmp_path / "items.parquet")
    result = gate.check_items(
        table.read(tmp_path).items, known_items=None, now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    told = dict(zip(result.quarantined["key"], result.quarantined["checks"], strict=True))
    assert told == {
        "a": ["image_path_readable"],
        "b": ["image_path_readable"],
        "c": ["title_readable"],
    }
    assert result.quarantined["reasons"][0] == [
        "Row 0: image_path is ['x.jpg' 'y.jpg']; expected the path of one photo; write it as text."
    ]


def test_a_photo_that_is_a_number_is_held_and_one_that_is_missing_is_none(tmp_path: Path) -> None:
    lines = ('{"item_id": "a", "title": "Oak", "image": 5}', '{"item_id": "b", "title": "Pine"}')
    (tmp_path / "items.jsonl").write_text("\n".join(lines))
    result = gate.check_items(
        table.read(tmp_path).items, known_items=None, now=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert result.quarantined["checks"].tolist() == [["photo_missing"]]
    assert column(result.accepted, tables.IMAGE_PATH) == [None]
