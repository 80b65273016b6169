"""Ids of rows that the gate is to judge: what no id may be is told before anything is kept."""

from collections.abc import Mapping
from typing import Any, Final

from bentos.recommender.payloads.shapes import HIDDEN, LONGEST_ID
from validation import tables

IDENTITIES: Final = (
    tables.EVENT_ID,
    tables.USER_ID,
    tables.ITEM_ID,
    tables.SESSION_ID,
    tables.SELLER_ID,
)


def wrong_ids(row: Mapping[str, Any]) -> list[str]:
    """Why ids of a row are none: too long, or with characters that nobody sees."""
    reasons = []
    for name in IDENTITIES:
        value = row.get(name)
        if not isinstance(value, str):
            continue
        if len(value) > LONGEST_ID:
            reasons.append(f"{name} has {len(value)} characters; at most {LONGEST_ID} are taken")
        if HIDDEN.search(value):
            reasons.append(f"{name} has control characters in it; write it anew")
    return reasons


def shown(value: Any) -> str | None:
    """An id as an answer may repeat it."""
    if value is None:
        return None
    return HIDDEN.sub("\N{REPLACEMENT CHARACTER}", str(value)[:LONGEST_ID])
