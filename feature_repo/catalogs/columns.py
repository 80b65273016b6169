"""The column names other people use, and which canonical column each one means.

Names are compared without case and punctuation, so ``Customer ID``, ``customerId`` and
``customer_id`` are one name. Where a file has two names for one column, the one listed
first wins and the other counts as an extra column.
"""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Final

from validation import tables

SEQ: Final = "seq"
"""An integer order of events, where a log has no times. Not a canonical column."""

UNREADABLE: Final = tables.UNREADABLE
"""Text of a line that could not be read, beside nulls: the gate quarantines it with its key
missing, and the quarantine row still holds all that the file held."""

Known = Mapping[str, tuple[str, ...]]

ITEM_COLUMNS: Final[Known] = {
    tables.ITEM_ID: (
        "item_id",
        "product_id",
        "article_id",
        "listing_id",
        "sku",
        "parent_asin",
        "asin",
        "stock_code",
        "id",
        "item",
        "product",
    ),
    tables.TITLE: ("title", "name", "product_name", "item_name", "product_title", "prod_name"),
    tables.DESCRIPTION: (
        "description",
        "text",
        "detail_desc",
        "long_description",
        "body",
        "summary",
        "details",
    ),
    tables.CATEGORY: ("category", "category_path", "categories", "product_category", "category_id"),
    tables.BRAND: ("brand", "brand_name", "maker", "manufacturer"),
    tables.SELLER_ID: ("seller_id", "seller", "vendor_id", "vendor", "merchant_id", "shop_id"),
    tables.PRICE: ("price", "unit_price", "list_price", "sale_price"),
    tables.CURRENCY: ("currency", "currency_code"),
    tables.ATTRIBUTES: ("attributes", "properties", "specs"),
    tables.IMAGE_PATH: (
        "image_path",
        "image",
        "photo_path",
        "photo",
        "picture",
        "img",
        "image_file",
        "filename",
    ),
    tables.LISTED_AT: (
        "listed_at",
        "first_seen",
        "launched",
        "launched_at",
        "launch_date",
        "listed",
        "available_from",
        "release_date",
        "date_added",
        "created_at",
    ),
    tables.AVAILABLE: ("available", "is_available", "in_stock", "active"),
    tables.DOMAIN: ("domain", "vertical"),
}

EVENT_COLUMNS: Final[Known] = {
    tables.EVENT_ID: ("event_id", "interaction_id"),
    tables.USER_ID: (
        "user_id",
        "customer_id",
        "household_id",
        "visitor_id",
        "reviewer_id",
        "member_id",
        "client_id",
        "user",
        "customer",
    ),
    tables.ITEM_ID: tuple(name for name in ITEM_COLUMNS[tables.ITEM_ID] if name != "id"),
    tables.EVENT_TYPE: ("event_type", "interaction_type", "event", "action", "behavior", "type"),
    tables.EVENT_TIMESTAMP: (
        "event_timestamp",
        "timestamp",
        "event_time",
        "datetime",
        "time",
        "date",
        "ts",
        "created_at",
        "invoice_date",
        "order_date",
        "purchase_date",
        "transaction_timestamp",
        "unix_review_time",
        "t_dat",
    ),
    SEQ: ("seq", "sequence", "step"),
    tables.QUANTITY: ("quantity", "qty", "pieces"),
    tables.UNIT_PRICE: ("unit_price", "price", "price_paid"),
    tables.VALUE: ("value", "rating", "stars", "overall", "score"),
    tables.SESSION_ID: (
        "session_id",
        "basket_id",
        "order_id",
        "invoice_no",
        "invoice",
        "visit_id",
        "transaction_id",
        "session",
        "basket",
    ),
    tables.PROPENSITY: ("propensity",),
    tables.VARIANT: ("variant", "arm", "experiment_arm"),
    tables.RECEIVED_AT: ("received_at", "ingested_at", "arrived_at", "server_time"),
}

NOT_ATTRIBUTES: Final = frozenset({"imageurl", "imageurls", "url", "link", "producturl"})
"""Addresses say nothing about an item that a model could learn, and are never fetched."""


def folded(name: object) -> str:
    """A column's name without case and punctuation."""
    return re.sub(r"[^a-z0-9]", "", str(name).lower())


def recognised(present: Iterable[object], known: Known, named: Mapping[str, str]) -> dict[str, str]:
    """Canonical name → the file's column.

    Args:
        present: the file's columns.
        known: canonical name → names people use for it, most telling first.
        named: canonical name → the file's column, as a mapping states it; it wins.
    """
    by_folded: dict[str, str] = {}
    for name in present:
        by_folded.setdefault(folded(name), str(name))
    found = dict(named)
    taken = set(named.values())
    for canonical, names in known.items():
        candidates = (by_folded.get(folded(name)) for name in names)
        column = next((name for name in candidates if name is not None and name not in taken), None)
        if canonical not in found and column is not None:
            found[canonical] = column
            taken.add(column)
    return found


def nearest(name: str, choices: Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the closest choice, or nothing."""
    close = difflib.get_close_matches(name, list(choices), n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
