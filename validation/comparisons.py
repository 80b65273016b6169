"""What a listing alone does not tell: how it stands among the catalogue and its batch."""

import json
import re
from typing import Final

import pandas as pd

from validation import tables
from validation.facts import labelled
from validation.reference import Reference
from validation.survey import ItemBatch

CATEGORY: Final = "category_known"
CURRENCY: Final = "currency_usual"
SCRIPT: Final = "title_script_usual"
LANGUAGE: Final = "text_language_usual"
PRICE: Final = "price_usual"
TEXT_TWIN: Final = "text_unlike_others"
PHOTO_TWIN: Final = "photo_unlike_others"
PLACEHOLDER: Final = "photo_of_one_piece"
MEASURES: Final = "measures_plausible"
CHECKS: Final = (
    *(CATEGORY, CURRENCY, SCRIPT, LANGUAGE, PRICE, TEXT_TWIN, MEASURES, PHOTO_TWIN, PLACEHOLDER),
)
"""Names of all comparisons."""
OF_PHOTOS: Final = (PHOTO_TWIN, PLACEHOLDER)

MEASURED: Final = re.compile(r"(height|width|depth|length|diameter|thickness)", re.IGNORECASE)
MEASURE: Final = re.compile(
    r"^\s*+(-?\d+(?:[.,]\d+)?)\s*+(mm|cm|m|in|inch|inches|\"|ft|feet)?\.?\s*+$", re.I
)
CENTIMETRES: Final = {
    "mm": 0.1,
    "cm": 1.0,
    "m": 100.0,
    "ft": 30.48,
    "feet": 30.48,
    **dict.fromkeys(("in", "inch", "inches", '"'), 2.54),
}
LONGEST: Final = 2_000.0
"""Centimetres: nothing for a home is longer than 20 m."""

Told = dict[int, str]
"""Row → what the check's sentence says in its ``{detail}``."""


def made(*, photos: bool) -> tuple[str, ...]:
    """Names of the comparisons that are made, with the photos or without."""
    return tuple(name for name in CHECKS if photos or name not in OF_PHOTOS)


def compare(
    items: pd.DataFrame, reference: Reference, batch: ItemBatch, *, offset: int
) -> dict[str, Told]:
    """Check → the rows of a chunk that fail it and what is to be told of each.

    Args:
        items: canonical items.
        batch: what holds of all chunks together.
        offset: number of the chunk's first row in the batch.
    """
    rows = slice(offset, offset + len(items) - 1)
    return {
        CATEGORY: reference.unknown_categories(items[tables.CATEGORY]),
        CURRENCY: reference.unusual_currencies(items[tables.CURRENCY]),
        SCRIPT: reference.unusual_scripts(items[tables.TITLE]),
        LANGUAGE: reference.unusual_languages(items),
        PRICE: batch.limits.unusual(items),
        MEASURES: implausible_measures(items[tables.ATTRIBUTES]),
        **{
            name: {row - offset: str(told) for row, told in labelled(whole.loc[rows])}
            for name, whole in (
                (TEXT_TWIN, batch.text_twins),
                (PHOTO_TWIN, batch.photo_twins),
                (PLACEHOLDER, batch.placeholders),
            )
        },
    }


def implausible_measures(attributes: pd.Series) -> Told:
    """Row → the first measure in its attributes that no piece for a home can have."""
    told: Told = {}
    for row, text in labelled(attributes.dropna()):
        if not MEASURED.search(str(text)):
            continue
        for name, value in json.loads(str(text)).items():
            found = MEASURE.match(str(value)) if MEASURED.search(name) else None
            if found is None:
                continue
            number = float(found[1].replace(",", "."))
            unit = (found[2] or "").lower()
            if number <= 0 or number * CENTIMETRES.get(unit, 0.0) > LONGEST:
                told[row] = f"{name} {value}"
                break
    return told
