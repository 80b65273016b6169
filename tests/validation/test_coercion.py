from datetime import UTC, date, datetime

import numpy as np
import pandas as pd
import pytest

from validation import coercion


def raw(*values: object) -> pd.Series:
    return pd.Series(list(values), dtype=object)


def test_text_keeps_leading_zeros_and_whole_numbers_lose_their_decimals() -> None:
    values, readable = coercion.texts(raw("0042", 536365, 536365.0, None, float("nan"), "  "))
    assert values.tolist() == ["0042", "536365", "536365", None, None, None]
    assert readable.all()


def test_what_is_no_text_is_told_and_becomes_null() -> None:
    values, readable = coercion.texts(raw("a", ["a"], {"a": 1}, b"a", True, "\ud800"))
    assert values.tolist() == ["a", None, None, None, None, None]
    assert readable.tolist() == [True, False, False, False, False, False]


def test_a_lone_surrogate_among_good_text_costs_only_its_own_row() -> None:
    values, readable = coercion.texts(raw("a", "\ud800", "b"))
    assert values.tolist() == ["a", None, "b"]
    assert readable.tolist() == [True, False, True]


@pytest.mark.parametrize("word", ["n/a", "NaN", "nan", "inf", "-Infinity", "12,50", "£5", "1_000"])
def test_words_that_are_no_finite_number_cannot_be_read(word: str) -> None:
    values, readable = coercion.numbers(raw("12.50", word, " 3 ", ""))
    assert readable.tolist() == [True, False, True, True]
    np.testing.assert_array_equal(values, [12.5, np.nan, 3.0, np.nan])


def test_a_nan_is_explicit_only_where_the_source_also_says_none() -> None:
    _, readable = coercion.numbers(raw(float("nan"), None, 3.0))
    assert readable.tolist() == [False, True, True]
    _, readable = coercion.numbers(raw(float("nan"), "3.0"))
    assert readable.tolist() == [True, True]
    _, readable = coercion.numbers(pd.Series([float("nan"), 3.0]))
    assert readable.tolist() == [True, True]


def test_numbers_of_any_numeric_kind_are_read_but_not_infinity_or_truths() -> None:
    values, readable = coercion.numbers(raw(3, np.int64(4), 2.5, np.inf, True, [1], {}))
    assert readable.tolist() == [True, True, True, False, False, False, False]
    np.testing.assert_array_equal(values, [3, 4, 2.5, np.nan, np.nan, np.nan, np.nan])
    values, readable = coercion.numbers(pd.Series([1, None], dtype="Int64"))
    assert readable.all()
    np.testing.assert_array_equal(values, [1, np.nan])
    _, readable = coercion.numbers(pd.Series([True, False]))
    assert not readable.any()


def test_times_are_utc_with_and_without_zone_and_numbers_are_no_times() -> None:
    values, readable = coercion.moments(
        raw(
            "2026-02-01T10:00:00",
            "2026-02-01T10:00:00+02:00",
            datetime(2026, 2, 1, 10, tzinfo=UTC),
            date(2026, 2, 1),
            None,
            "",
            "yesterday",
            "2026-02-30",
            1769940000,
            True,
        )
    )
    assert readable.tolist() == [True] * 6 + [False] * 4
    assert values.dtype == "datetime64[us, UTC]"
    assert [None if pd.isna(value) else value.isoformat() for value in values] == [
        "2026-02-01T10:00:00+00:00",
        "2026-02-01T08:00:00+00:00",
        "2026-02-01T10:00:00+00:00",
        "2026-02-01T00:00:00+00:00",
        *[None] * 6,
    ]


def test_truths_are_read_in_the_ways_people_write_them() -> None:
    values, readable = coercion.truths(raw("Yes", "0", 1, 1.0, False, None, "maybe", 2))
    assert values.tolist() == [True, False, True, True, False, None, None, None]
    assert readable.tolist() == [True] * 6 + [False] * 2


def test_attributes_are_json_objects_with_sorted_keys() -> None:
    values, readable = coercion.attributes(
        raw('{"b": 1, "a": "oak"}', {"b": 1}, "{}", None, "[1]", "{broken", "oak")
    )
    assert values.tolist() == ['{"a": "oak", "b": 1}', '{"b": 1}', None, None, None, None, None]
    assert readable.tolist() == [True] * 4 + [False] * 3
