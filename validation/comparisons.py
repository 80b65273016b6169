"""What a listing alone does not tell: how it stands among the accepted catalogue and its batch."""

import json
import re
from collections.abc import Mapping
from typing import Final

import pandas as pd

from validation import tables
from validation.duplicates import FINGERPRINT, photo_twins, text_twins
from validation.facts import labelled
from validation.photos import Photo
from validation.reference import Reference, wording_of

CATEGORY: Final = "category_known"
CURRENCY: Final = "currency_usual"
SCRIPT: Final = "title_script_usual"
PRICE: Final = "price_usual"
TEXT_TWIN: Final = "text_unlike_others"
PHOTO_TWIN: Final = "photo_unlike_others"
PLACEHOLDER: Final = "photo_of_one_piece"
MEASURES: Final = "measures_plausible"
CHECKS: Final = (
    *(CATEGORY, CURRENCY, SCRIPT, PRICE, TEXT_TWIN, MEASURES, PHOTO_TWIN, PLACEHOLDER),
)
"""Names of all comparisons."""

PLACEHOLDER_LISTINGS: Final = 5
"""Listings with one picture from which it is a placeholder and no photo of a piece."""
MEASURED: Final = re.compile(r"(height|width|depth|length|diameter|thickness)", re.IGNORECASE)
MEASURE: Final = re.compile(
    r"^\s*(-?\d+(?:[.,]\d+)?)\s*(mm|cm|m|in|inch|inches|\"|ft|feet)?\.?\s*$", re.I
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


def compare(
    items: pd.DataFrame, reference: Reference, photos: Mapping[str, Photo] | None
) -> dict[str, Told]:
    """Check → the rows that fail it and what is to be told of each.

    Args:
        items: canonical items.
        photos: path → what was seen of it; None where photos were not opened.
    """
    ids = items[tables.ITEM_ID]
    texts = text_twins(wording_of(items), ids, known=reference.texts)
    compared = {
        CATEGORY: reference.unknown_categories(items[tables.CATEGORY]),
        CURRENCY: reference.unusual_currencies(items[tables.CURRENCY]),
        SCRIPT: reference.unusual_scripts(items[tables.TITLE]),
        PRICE: reference.unusual_prices(items),
        TEXT_TWIN: _named(texts.twin),
        MEASURES: implausible_measures(items[tables.ATTRIBUTES]),
    }
    if photos is not None:
        pictures = photo_twins(
            items[tables.IMAGE_PATH].map(lambda path: _fingerprint(path, photos)).astype(object),
            ids,
            known=reference.photos,
        )
        shared = pictures.sharing >= PLACEHOLDER_LISTINGS
        compared[PHOTO_TWIN] = _named(pictures.twin[~shared])
        compared[PLACEHOLDER] = {
            row: str(count) for row, count in labelled(pictures.sharing[shared])
        }
    return compared


def fingerprints(items: pd.DataFrame, photos: Mapping[str, Photo]) -> pd.DataFrame:
    """`item_id` and `fingerprint` of the listings whose photo has one."""
    prints = items[tables.IMAGE_PATH].map(lambda path: _fingerprint(path, photos))
    frame = pd.DataFrame(
        {tables.ITEM_ID: items[tables.ITEM_ID], FINGERPRINT: prints.astype(object)}
    )
    return frame.dropna().reset_index(drop=True).astype({FINGERPRINT: "uint64"})


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


def _named(twins: pd.Series) -> Told:
    return {row: str(twin) for row, twin in labelled(twins.dropna())}


def _fingerprint(path: object, photos: Mapping[str, Photo]) -> int | None:
    photo = photos.get(path) if isinstance(path, str) else None
    return None if photo is None else photo.fingerprint
