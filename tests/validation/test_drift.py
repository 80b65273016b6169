import pandas as pd
import pytest

from tests.validation.conftest import NOW, Listings
from validation import gate
from validation.drift import column_drift, filled_shares


@pytest.fixture
def catalogue(listings: Listings) -> pd.DataFrame:
    ids = [f"k{number}" for number in range(200)]
    frame = listings(
        *ids,
        price=[10 + number % 50 for number in range(200)],
        category=["Home > Lamps", "Home > Rugs"] * 100,
    )
    return gate.check_items(frame, known_items=None, now=NOW).accepted


def test_a_batch_like_the_catalogue_does_not_drift(catalogue: pd.DataFrame) -> None:
    half = catalogue.iloc[::3]
    assert not any(one.matters for one in column_drift(half, catalogue))


def test_dearer_lamps_alone_drift_in_price_and_category(catalogue: pd.DataFrame) -> None:
    lamps = catalogue[catalogue["category"] == "Home > Lamps"]
    dear = lamps.assign(price=lamps["price"] * 4)
    found = {one.column: one for one in column_drift(dear, catalogue)}
    assert found["price"].matters
    assert found["category"].matters
    assert not found["length of title"].matters
    assert list(found) == sorted(found, key=lambda name: -found[name].distance)


def test_a_small_batch_is_not_compared(catalogue: pd.DataFrame) -> None:
    assert column_drift(catalogue.head(5), catalogue) == []


def test_shares_of_filled_values_are_by_column(catalogue: pd.DataFrame) -> None:
    shares = filled_shares(catalogue)
    assert (shares["price"], shares["brand"]) == (1.0, 0.0)
