"""The gate's rules on listings written down plainly in pandas: what its speed is measured against.

Masks alone: no suite, no results, no sentences, no quarantine. Nor is anything compared with an
accepted catalogue, which the gate has none of either where the two are timed.
"""

import json
import re
import warnings
from datetime import datetime

import numpy as np
import pandas as pd

from validation import comparisons, duplicates, listing_checks, tables
from validation.contents import read_same, text_contents
from validation.currencies import CURRENCIES
from validation.prices import REACH
from validation.reference import wording_of


def failing_rows(items: pd.DataFrame, *, now: datetime) -> dict[str, pd.Series]:
    """Rule → (N,) whether each row breaks it."""
    price = pd.to_numeric(items[tables.PRICE], errors="coerce")
    listed = pd.to_datetime(items[tables.LISTED_AT], utc=True, errors="coerce", format="ISO8601")
    title, description = items[tables.TITLE], items[tables.DESCRIPTION]
    item_id, category = items[tables.ITEM_ID], items[tables.CATEGORY]
    broken = {
        "id missing": item_id.isna() | (item_id.str.strip() == ""),
        "id twice": item_id.duplicated(),
        "id with blanks": item_id != item_id.str.strip(),
        "no content": title.isna() & description.isna(),
        "price unreadable": price.isna() & items[tables.PRICE].notna(),
        "price missing": price.isna(),
        "price negative": price < 0,
        "price absurd": price > tables.HIGHEST_PRICE,
        "price zero": price == 0,
        "price unusual": _unusual(price, items[tables.CURRENCY], category),
        "currency unknown": ~items[tables.CURRENCY].isin(CURRENCIES),
        "date unreadable": listed.isna() & items[tables.LISTED_AT].notna(),
        "listed later": listed > pd.Timestamp(now),
        "listed early": listed < pd.Timestamp(tables.EARLIEST),
        "attributes unreadable": ~items[tables.ATTRIBUTES].map(_is_object),
        "sizes": _listed(comparisons.implausible_measures(items[tables.ATTRIBUTES]), items),
        "category path": category.str.contains(r">\s*(?:>|$)", regex=True),
        "title placeholder": _has(title, listing_checks.PLACEHOLDER),
        "title length": ~title.str.len().between(2, listing_checks.LONGEST_TITLE),
        "title without words": ~_has(title, r"[^\W\d_]"),
        "title repeats": _has(title, listing_checks.REPEATED),
        "description length": description.str.len() > listing_checks.LONGEST_DESCRIPTION,
    }
    for name, text in (("title", title), ("description", description)):
        for what, pattern in (
            ("markup", listing_checks.MARKUP),
            ("control", listing_checks.CONTROL),
            ("encoding", listing_checks.WRONG_ENCODING),
            ("contact", listing_checks.CONTACT),
        ):
            broken[f"{name} {what}"] = _has(text, pattern)
    texts = text_contents(wording_of(items), item_id)
    copies = duplicates.twins(texts, len(texts), alike=read_same).twin >= 0
    return {**broken, "copies": pd.Series(copies, index=items.index)}


def _has(text: pd.Series, pattern: str) -> pd.Series:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of groups, which are meant
        found: pd.Series = text.str.contains(re.compile(pattern), na=False)
    return found


def _is_object(text: object) -> bool:
    if not isinstance(text, str):
        return True
    try:
        return isinstance(json.loads(text), dict)
    except json.JSONDecodeError:
        return False


def _unusual(price: pd.Series, currency: pd.Series, category: pd.Series) -> pd.Series:
    logs = np.log(price.where(price > 0))
    groups = logs.groupby([currency, category])
    low, high = groups.transform("quantile", 0.25), groups.transform("quantile", 0.75)
    reach = REACH * (high - low).clip(lower=0.7)
    unusual: pd.Series = (logs < low - reach) | (logs > high + reach)
    return unusual


def _listed(rows: dict[int, str], items: pd.DataFrame) -> pd.Series:
    return items.index.to_series().isin(rows)
