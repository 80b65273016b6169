"""Numbers with a decimal comma and with marks between thousands."""

import pandas as pd
import pytest

from feature_repo.catalogs.numerals import with_points


@pytest.mark.parametrize(
    ("written", "decimal", "number"),
    [
        ("29,90", ",", "29.90"),
        (" -0,5 ", ",", "-0.5"),
        ("1.299,50", ",", "1299.50"),
        ("1.299", ",", "1299"),
        ("1 299 000,5", ",", "1299000.5"),
        ("1\u202f299", ",", "1299"),
        ("1'299.50", ".", "1299.50"),
        ("1,299", ".", "1299"),
        ("12", ",", "12"),
    ],
)
def test_a_number_is_read_by_its_mark(written: str, decimal: str, number: str) -> None:
    assert with_points(pd.Series([written]), decimal=decimal).tolist() == [number]


@pytest.mark.parametrize("written", ["12.50", "1.29,5", "1,2,3", "29,90 EUR", "", None, 3.5])
def test_what_is_no_such_number_travels_as_it_is(written: object) -> None:
    values = pd.Series([written, "x"], dtype=object)
    assert with_points(values, decimal=",").tolist() == [written, "x"]


def test_a_column_of_numbers_is_left_alone() -> None:
    values = pd.Series([1.5, 2.5])
    assert with_points(values, decimal=",") is values
