import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.validation.conftest import NOW, Listings
from validation import gate, tables
from validation.errors import GateError, MissingColumnError, TableError, ValidationError
from validation.gate import GateResult
from validation.identities import Ids
from validation.reference import Reference
from validation.result import joined
from validation.summary import summary_of


def items(frame: pd.DataFrame, **kwargs: object) -> GateResult:
    return gate.check_items(frame, **{"known_items": None, "now": NOW, **kwargs})  # type: ignore[arg-type]


def events(frame: pd.DataFrame, known: tuple[str, ...] = ("a",)) -> GateResult:
    return gate.check_events(frame, known_item_ids=known, now=NOW)


def checks(result: GateResult) -> dict[int, list[str]]:
    """Row number → the checks it failed, of quarantined rows."""
    rows = result.quarantined
    return dict(zip(rows["row_number"].tolist(), rows["checks"].tolist(), strict=True))


def warned(result: GateResult) -> dict[int, list[str]]:
    rows = result.warnings
    return dict(zip(rows["row_number"].tolist(), rows["checks"].tolist(), strict=True))


def test_sound_listings_pass_in_order_with_canonical_types(listings: Listings) -> None:
    result = items(listings("c", "a", "b").assign(colour="red"))
    assert result.verdict == "pass"
    assert result.accepted["item_id"].tolist() == ["c", "a", "b"]
    assert list(result.accepted.columns) == tables.ITEMS.names
    assert result.accepted["price"].tolist() == [12.5, 12.5, 12.5]
    assert result.accepted["listed_at"].dtype == "datetime64[us, UTC]"
    assert result.accepted["brand"].tolist() == [None, None, None]
    assert tables.ITEMS.to_arrow(result.accepted).schema == tables.ITEMS.schema
    assert result.quarantined.empty
    assert result.warnings.empty
    assert result.reason_counts == {}


def test_the_input_is_left_as_it_was(listings: Listings) -> None:
    frame = listings("a", "a", price=["x", None]).set_index(pd.Index([7, 9]))
    before = frame.copy(deep=True)
    items(frame)
    pd.testing.assert_frame_equal(frame, before)


def test_every_planted_defect_of_a_feed_is_quarantined_and_nothing_else(
    listings: Listings, photos: dict[str, Path]
) -> None:
    feed = listings(
        *("good", "no_content", "unreadable", "truncated", "empty_file", "bomb", "nan_price"),
        *("negative", "good", "future", "currency", "blank_photo", None, "   ", "missing_photo"),
        *("good_2", "tiny"),
    )
    feed["image_path"] = None
    for row, name in enumerate(feed["item_id"]):
        kind = {
            "good": "good",
            "unreadable": "text",
            "empty_file": "empty",
            "blank_photo": "blank",
            "missing_photo": "missing",
        }.get(name, name)
        if kind in photos:
            feed.loc[row, "image_path"] = str(photos[kind])
    feed.loc[1, "title"] = None
    feed.loc[6, "price"] = "NaN"
    feed.loc[7, "price"] = -3
    feed.loc[9, "listed_at"] = "2026-09-01"
    feed.loc[10, "currency"] = "EURO"

    result = items(feed)

    assert checks(result) == {
        1: ["content"],
        2: ["photo_unreadable"],
        3: ["photo_truncated"],
        4: ["photo_empty"],
        5: ["photo_too_large"],
        6: ["price_readable"],
        7: ["price_not_negative"],
        8: ["duplicate_id"],
        9: ["listed_at_not_in_future"],
        10: ["currency_known"],
        12: ["item_id_present"],
        13: ["item_id_present"],
        14: ["photo_missing"],
        16: ["photo_too_small"],
    }
    assert result.accepted["item_id"].tolist() == ["good", "blank_photo", "good_2"]
    assert warned(result) == {11: ["photo_blank"]}
    assert result.verdict == "quarantined"
    assert result.received == 17
    assert result.reason_counts["item_id_present"] == 2
    assert result.severities["photo_blank"] == "warn"


def test_a_reason_names_row_column_value_expectation_and_remedy(listings: Listings) -> None:
    result = items(listings("a", "b", price=["12.50", "n/a"]))
    assert result.quarantined["reasons"].tolist() == [
        [
            "Row 1: price is 'n/a'; expected a number; give a price such as 12.50, or leave it "
            'empty; decimal commas are read by decimal = "," in mapping.toml.'
        ]
    ]
    row = result.quarantined.iloc[0]
    assert (row["key"], row["source"], row["severity"]) == ("b", "shop", "block")
    assert json.loads(row["row"])["price"] == "n/a"
    assert row["checked_at"] == pd.Timestamp(NOW)


def test_a_row_is_told_all_its_reasons_at_once(listings: Listings) -> None:
    result = items(listings("a", price=["-1"], currency=["???"], listed_at=["soon"]))
    assert checks(result) == {0: ["listed_at_readable", "price_not_negative", "currency_known"]}


@pytest.mark.parametrize("price", [float("nan"), "nan", "NaN", "n/a", "inf", -0.01, float("inf")])
def test_a_price_that_is_none_is_quarantined(listings: Listings, price: object) -> None:
    result = items(listings("a", "b", "c", price=[price, None, 1.0]))
    assert result.quarantined["key"].tolist() == ["a"]
    assert warned(result) == {1: ["price_present"]}
    assert result.accepted["item_id"].tolist() == ["b", "c"]


def test_a_price_of_zero_is_accepted_with_a_warning(listings: Listings) -> None:
    assert warned(items(listings("a", price=[0]))) == {0: ["price_not_zero"]}


def test_a_table_without_optional_columns_is_accepted_with_a_note() -> None:
    result = items(pd.DataFrame({"item_id": [1, 2], "title": ["vase", "bowl"]}), source="shop")
    assert result.verdict == "pass"
    assert result.accepted["item_id"].tolist() == ["1", "2"]
    assert result.accepted["source"].tolist() == ["shop", "shop"]
    assert result.notes == (
        "no row of items has category, price, image_path, listed_at; the models do without",
    )


def test_of_rows_with_one_id_the_first_stays_and_the_others_say_how_they_differ(
    listings: Listings,
) -> None:
    result = items(listings("a", "a", "a", title=["vase", "vase", "bowl"]))
    assert result.accepted["title"].tolist() == ["vase"]
    assert [reasons[0] for reasons in result.quarantined["reasons"]] == [
        "Row 1: item_id 'a' is also the id of row 0, an identical row; keep one row per id.",
        "Row 2: item_id 'a' is also the id of row 0, whose values differ; keep one row per id.",
    ]


def test_a_bad_row_does_not_push_out_a_good_one_of_the_same_id(listings: Listings) -> None:
    result = items(listings("a", "a", price=["-1", "2"]))
    assert checks(result) == {0: ["price_not_negative"]}
    assert result.accepted["price"].tolist() == [2.0]


def test_an_id_of_another_source_is_quarantined_and_ones_own_is_an_update(
    listings: Listings,
) -> None:
    known = pd.DataFrame({"item_id": ["a", "b"], "source": ["other", "shop"]})
    result = items(listings("a", "b", "c"), known_items=known)
    assert checks(result) == {0: ["id_of_another_source"]}
    assert "already belongs to source 'other'" in result.quarantined["reasons"][0][0]
    assert "--prefix" in result.quarantined["reasons"][0][0]
    assert result.accepted["item_id"].tolist() == ["b", "c"]


def test_clocks_may_differ_by_five_minutes(listings: Listings) -> None:
    ahead = [(NOW + timedelta(minutes=minutes)).isoformat() for minutes in (4, 6)]
    assert checks(items(listings("a", "b", listed_at=ahead))) == {1: ["listed_at_not_in_future"]}


def test_weak_categories_and_ids_are_warned_of(listings: Listings) -> None:
    categories = ["A > B", "A >  > B", "> A", "Home", None, " > ".join("ABCDEFGHI")]
    result = items(listings(" a", "b", "c", "d", "e", "f", category=categories))
    assert warned(result) == {
        0: ["id_trimmed"],
        1: ["category_path"],
        2: ["category_path"],
        5: ["category_path"],
    }


def test_a_line_that_could_not_be_read_is_quarantined_with_its_text(listings: Listings) -> None:
    frame = listings("a", None, title=["x", None], price=["1", None])
    frame["_unreadable"] = [None, 'line 3: b,"Lamp']
    result = items(frame)
    assert checks(result) == {1: ["line_readable"]}
    assert 'line 3: b,"Lamp' in result.quarantined["reasons"][0][0]


def test_photos_are_not_opened_when_not_asked_for(
    listings: Listings, photos: dict[str, Path]
) -> None:
    frame = listings("a", image_path=[str(photos["missing"])])
    assert items(frame, photos=False).verdict == "pass"


def test_more_than_two_hundred_bad_rows_are_all_named(listings: Listings) -> None:
    ids = [f"i{number}" for number in range(1000)]
    result = items(listings(*ids, price=["x" if number % 2 else "1" for number in range(1000)]))
    assert result.quarantined["row_number"].tolist() == list(range(1, 1000, 2))


@pytest.mark.parametrize("check", [items, events])
def test_a_missing_required_column_is_one_clear_error(
    check: Callable[[pd.DataFrame], GateResult],
) -> None:
    with pytest.raises(MissingColumnError, match=r"lacks the column\(s\) .*item_id.*it has sku"):
        check(pd.DataFrame({"sku": ["a"], "user_id": ["u"]}))


def test_a_column_twice_and_a_time_without_zone_are_clear_errors(listings: Listings) -> None:
    frame = listings("a")
    with pytest.raises(TableError, match="price more than once"):
        items(pd.concat([frame, frame[["price"]]], axis=1))
    with pytest.raises(ValidationError, match="without a zone"):
        items(frame, now=datetime(2026, 1, 1))


def test_an_empty_table_passes(listings: Listings, log: Listings) -> None:
    assert summary_of([items(listings())]).as_dict()["received"] == 0
    assert events(log()).verdict == "pass"
    assert list(events(log()).accepted.columns) == tables.EVENTS.names


def test_every_defect_of_an_event_is_told_apart(log: Listings) -> None:
    count = 19
    frame = log(*(f"u{number}" for number in range(count)))
    for column in ("quantity", "unit_price", "propensity", "value", "received_at"):
        frame[column] = None
    frame.loc[1, "item_id"] = "unknown"
    frame.loc[2, "event_type"] = "teleport"
    frame.loc[3, "event_timestamp"] = "2026-03-02T00:00:00"
    frame.loc[4, "quantity"] = -1
    frame.loc[5, "unit_price"] = -0.5
    frame.loc[6, "propensity"] = 1.5
    frame.loc[7, "user_id"] = float("nan")
    frame.loc[8, "item_id"] = None
    frame.loc[9, "event_timestamp"] = "noon"
    frame.loc[10, "event_timestamp"] = None
    frame.loc[11, "event_id"] = "e0"
    frame.loc[12, ["event_type", "value"]] = ["rating", None]
    frame.loc[13, ["event_type", "value", "propensity"]] = ["rating", "five", 0]
    frame.loc[14, "received_at"] = "2031-01-01"
    frame.loc[15, "received_at"] = "later"
    frame.loc[16, "quantity"] = 1e7
    frame.loc[17, "unit_price"] = 1e16
    frame.loc[18, "event_type"] = None
    result = events(frame)
    assert checks(result) == {
        1: ["known_item"],
        2: ["event_type_known"],
        3: ["event_timestamp_not_in_future"],
        4: ["quantity_positive"],
        5: ["unit_price_not_negative"],
        6: ["propensity_in_range"],
        7: ["user_id_present"],
        8: ["item_id_present"],
        9: ["event_timestamp_readable"],
        10: ["event_timestamp_present"],
        11: ["duplicate_id"],
        13: ["value_readable", "propensity_in_range"],
        14: ["received_at_not_in_future"],
        15: ["received_at_readable"],
        16: ["quantity_plausible"],
        17: ["unit_price_plausible"],
        18: ["event_type_present"],
    }
    told = dict(zip(result.quarantined["row_number"], result.quarantined["reasons"], strict=True))
    assert told[9] == [
        "Row 9: event_timestamp is 'noon'; expected a date and time such as 2024-05-01T12:00:00Z, "
        "or of `seq` a whole number; write it so."
    ]
    assert result.accepted["user_id"].tolist() == ["u0", "u12"]
    assert warned(result) == {12: ["rating_value"]}


def test_events_without_ids_pass_and_real_repeats_stay(log: Listings) -> None:
    frame = log("u", "u", "v").drop(columns="event_id")
    result = events(frame)
    assert result.accepted["user_id"].tolist() == ["u", "u", "v"]
    assert result.accepted["event_id"].tolist() == [None, None, None]


def test_vectors_of_wrong_width_not_finite_or_zero_are_quarantined() -> None:
    vectors = [[0.6, 0.8], [np.nan, 1], [0, 0], [1, 2, 3], None, "x", np.array([0, 2], "float64")]
    frame = pd.DataFrame({"item_id": list("abcdefg"), "embedding": vectors, "encoder": "tiny"})
    result = gate.check_embeddings(frame, width=2, now=NOW)
    assert checks(result) == {
        1: ["vector_finite"],
        2: ["vector_nonzero"],
        3: ["vector_width"],
        4: ["vector_width"],
        5: ["vector_width"],
    }
    assert "holds 3 numbers; expected 2" in result.quarantined["reasons"][2][0]
    assert result.accepted["item_id"].tolist() == ["a", "g"]
    assert result.accepted["encoder"].tolist() == ["tiny", "tiny"]
    assert [vector.dtype for vector in result.accepted["embedding"]] == ["float32", "float32"]
    unit = gate.check_embeddings(frame.iloc[[0, 6]], width=2, now=NOW, unit=True)
    assert checks(unit) == {1: ["vector_unit"]}


def test_a_result_that_lost_a_row_cannot_exist(listings: Listings) -> None:
    result = items(listings("a", "b"))
    with pytest.raises(GateError, match="3 rows of items came in, but 2 were accepted and 0"):
        GateResult(
            table="items",
            accepted=result.accepted,
            quarantined=result.quarantined,
            warnings=result.warnings,
            received=3,
            reason_counts={},
            severities={},
            notes=(),
            validation={},
            checked_at=NOW,
        )


ANYTHING = st.one_of(
    st.none(),
    st.text(max_size=6),
    st.floats(),
    st.integers(),
    st.booleans(),
    st.binary(max_size=3),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
    st.datetimes(),
)


@given(
    rows=st.lists(
        st.fixed_dictionaries(
            dict.fromkeys(("item_id", "title", "price", "listed_at", "available"), ANYTHING)
        ),
        max_size=8,
    )
)
@settings(max_examples=25, deadline=None)
def test_whatever_comes_in_is_accepted_or_quarantined_and_never_lost(
    rows: list[dict[str, object]],
) -> None:
    frame = pd.DataFrame(
        rows, columns=["item_id", "title", "price", "listed_at", "available"], dtype=object
    )
    result = items(frame, source="any")
    seen = set(result.quarantined["row_number"])
    assert len(result.accepted) == len(rows) - len(seen)
    tables.ITEMS.to_arrow(result.accepted)
    assert result.accepted["item_id"].is_unique
    for row in result.quarantined["row"]:
        json.loads(row)


TEXT_CHOICES = st.sampled_from(
    [None, "", "Oak table with two drawers", "oak TABLE, with two drawers!", "Lamp", "test"]
)
MIXED_ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", "c", "d", None]),
        TEXT_CHOICES,
        st.sampled_from([1.0, 9.5, "12,5", None, -1, "nan"]),
        st.sampled_from([None, '{"height": "45 m"}', "{", {"colour": "red"}]),
    ),
    min_size=1,
    max_size=9,
)


@settings(max_examples=12, deadline=None)
@given(rows=MIXED_ROWS, size=st.integers(2, 5))
def test_what_becomes_of_a_row_does_not_depend_on_the_chunks(
    rows: list[tuple[object, ...]], size: int
) -> None:
    frame = pd.DataFrame(rows, columns=["item_id", "title", "price", "attributes"], dtype=object)
    known = pd.DataFrame(
        {"item_id": ["k", "a"], "title": ["Oak table with two drawers"] * 2, "source": "shop"}
    )
    whole = items(frame, known_items=known, source="feed")
    parts = (frame.iloc[start : start + size] for start in range(0, len(frame), size))
    reference = Reference.of(known)
    apart = joined(list(gate.items_in_parts(parts, reference=reference, source="feed", now=NOW)))
    for name in ("accepted", "quarantined", "warnings", "fingerprints"):
        pd.testing.assert_frame_equal(getattr(apart, name), getattr(whole, name))
    assert summary_of([apart]).as_dict() == summary_of([whole]).as_dict()
    assert summed(apart) == summed(whole)


def summed(result: GateResult) -> list[tuple[object, ...]]:
    """What Great Expectations counted, and the rows it names."""
    return [
        (entry["success"], *(entry["result"].get(name) for name in COUNTED), listed(entry))
        for run in result.validation.values()
        for entry in run["results"]
    ]


COUNTED = ("element_count", "unexpected_count", "missing_count", "unexpected_percent")


def listed(entry: dict[str, Any]) -> list[int]:
    return entry["result"].get("unexpected_index_list") or []


@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["u", "v", None]),
            st.sampled_from(["e1", "e2", "e3", None]),
            st.sampled_from(["click", "looked", None]),
            st.sampled_from(["2026-02-01T10:00:00", "2026-02-02", "later"]),
        ),
        min_size=1,
        max_size=12,
    ),
    size=st.integers(3, 6),
)
def test_events_in_chunks_are_judged_as_the_whole_log_is(
    rows: list[tuple[object, ...]], size: int
) -> None:
    names = ["user_id", "event_id", "event_type", "event_timestamp"]
    frame = pd.DataFrame(rows, columns=names, dtype=object).assign(item_id="a")
    whole = gate.check_events(frame, known_item_ids=["a"], now=NOW)
    parts = (frame.iloc[start : start + size] for start in range(0, len(frame), size))
    apart = joined(list(gate.events_in_parts(parts, known_item_ids=Ids.of(["a"]), now=NOW)))
    for name in ("accepted", "quarantined", "warnings"):
        pd.testing.assert_frame_equal(getattr(apart, name), getattr(whole, name))
    assert summary_of([apart]).as_dict() == summary_of([whole]).as_dict()


def test_a_bot_is_found_across_chunks(log: Listings) -> None:
    frame = log(*["bot"] * 60)
    parts = (frame.iloc[start : start + 25] for start in range(0, 60, 25))
    apart = joined(list(gate.events_in_parts(parts, known_item_ids=Ids.of(["a"]), now=NOW)))
    assert len(apart.warnings) == 60
