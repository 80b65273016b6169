"""What sellers write about their stock: noisy, incomplete, in their own words."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from feature_repo.catalogs.marketplace.brands import BRANDS, SELLERS_PER_BRAND
from feature_repo.catalogs.marketplace.stock import Listing
from feature_repo.catalogs.marketplace.styles import (
    MATERIALS,
    PALETTES,
    PATTERNS,
    STYLES,
    Factor,
)
from validation import tables

NAME: Final = "marketplace"
CURRENCY: Final = "EUR"
WORD_SHARES: Final[Mapping[str, float]] = {
    "style": 0.4,
    "colour": 0.6,
    "pattern": 0.5,
    "material": 0.55,
}
"""How often a title says each factor."""
WRONG_WORD: Final = 0.04
"""How often it says another value than the true one."""
MISSING: Final[Mapping[str, float]] = {
    tables.IMAGE_PATH: 0.03,
    tables.DESCRIPTION: 0.15,
    tables.PRICE: 0.04,
    tables.BRAND: 0.12,
    tables.ATTRIBUTES: 0.2,
    tables.CATEGORY: 0.02,
}
"""How often a seller leaves a field out."""

_PRAISE: Final = (
    "A favourite of our customers.",
    "Made to last for years.",
    "New in our collection.",
    "Easy to care for.",
    "Delivered within a few days.",
    "A gift that always fits.",
    "Limited stock.",
    "Designed in our own studio.",
    "Every piece is unique.",
    "Packed without plastic.",
)
_PLACES: Final[Mapping[str, tuple[str, ...]]] = {
    "living": ("living room", "lounge", "sitting room"),
    "dining": ("dining room", "kitchen", "dining area"),
    "bedroom": ("bedroom", "guest room"),
    "entrance": ("hallway", "entrance", "home office"),
    "person": ("every day", "weekends", "travelling"),
}
_FACTORS: Final[Mapping[str, Sequence[Factor]]] = {
    "style": STYLES,
    "colour": PALETTES,
    "pattern": PATTERNS,
    "material": MATERIALS,
}


def listing_frame(
    stock: Sequence[Listing],
    *,
    photos: Mapping[str, Path],
    start: datetime,
    end: datetime,
    seed: int,
) -> pd.DataFrame:
    """The stock as a canonical items frame.

    Args:
        photos: where each item's photo lies; some listings do not use theirs.
        start: the log's beginning, week 0.
        end: the log's end: what was retired by then is not available.
        seed: of the sellers' words, and of what they leave out.
    """
    rows = [_row(listing, photos, start, end, seed) for listing in stock]
    frame = pd.DataFrame(rows, columns=tables.ITEMS.names)
    frame[tables.LISTED_AT] = pd.to_datetime(frame[tables.LISTED_AT], utc=True).dt.as_unit("us")
    frame[tables.PRICE] = frame[tables.PRICE].astype(np.float64)
    return frame


def has_photo(listing: Listing, *, seed: int) -> bool:
    """Whether the seller uploaded a photo."""
    return tables.IMAGE_PATH not in _left_out(listing, seed)


def _left_out(listing: Listing, seed: int) -> set[str]:
    """Names of the fields that the seller leaves out; never photo and description both."""
    draws = np.random.default_rng([seed, listing.seed, 17]).random(len(MISSING))
    missing = {
        name for (name, share), draw in zip(MISSING.items(), draws, strict=True) if draw < share
    }
    return missing - {tables.DESCRIPTION} if tables.IMAGE_PATH in missing else missing


def _row(
    listing: Listing,
    photos: Mapping[str, Path],
    start: datetime,
    end: datetime,
    seed: int,
) -> dict[str, object]:
    rng = np.random.default_rng([seed, listing.seed, 19])
    brand = BRANDS[listing.brand]
    seller = listing.brand * SELLERS_PER_BRAND + int(rng.integers(SELLERS_PER_BRAND))
    row: dict[str, object] = {
        tables.ITEM_ID: listing.item_id,
        tables.TITLE: _title(listing, rng),
        tables.DESCRIPTION: _description(listing, rng),
        tables.CATEGORY: listing.kind.category,
        tables.BRAND: brand.name,
        tables.SELLER_ID: f"seller-{seller:03d}",
        tables.PRICE: listing.price,
        tables.CURRENCY: CURRENCY,
        tables.ATTRIBUTES: _attributes(listing, rng),
        tables.IMAGE_PATH: str(photos[listing.item_id]) if listing.item_id in photos else None,
        tables.LISTED_AT: start + timedelta(weeks=listing.listed_week),
        tables.AVAILABLE: start + timedelta(weeks=min(listing.retired_week, 1e4)) > end,
        tables.DOMAIN: listing.kind.domain,
        tables.SOURCE: NAME,
    }
    return {name: None if name in _left_out(listing, seed) else row[name] for name in row}


def _factor(listing: Listing, name: str) -> int:
    return {
        "style": listing.style,
        "colour": listing.palette,
        "pattern": listing.pattern,
        "material": listing.material,
    }[name]


def _word(listing: Listing, name: str, rng: np.random.Generator) -> str:
    """How this seller calls the factor; the commonest word half the time, rarely a wrong one."""
    options = _FACTORS[name]
    value = _factor(listing, name)
    if rng.random() < WRONG_WORD:
        value = int(rng.integers(len(options)))
    words = options[value].words
    return words[0] if rng.random() < 0.5 else str(rng.choice(words))


def _title(listing: Listing, rng: np.random.Generator) -> str:
    said = [
        _word(listing, name, rng)
        for name, share in WORD_SHARES.items()
        if rng.random() < share and not (name == "pattern" and rng.random() < _unsaid(listing))
    ]
    if rng.random() < 0.3:
        said = [said[place] for place in rng.permutation(len(said))]
    nouns = listing.kind.nouns
    noun = nouns[0] if rng.random() < 0.6 else str(rng.choice(nouns))
    title = " ".join([*said, noun])
    title = f"{title[0].upper()}{title[1:]}"
    return f"{BRANDS[listing.brand].name} {title}" if rng.random() < 0.2 else title


def _unsaid(listing: Listing) -> float:
    """How often a plain surface is not worth a word."""
    return 0.7 if PATTERNS[listing.pattern].name == "plain" else 0.0


def _description(listing: Listing, rng: np.random.Generator) -> str:
    """Two to four sentences, each of which may name a factor."""
    noun = str(rng.choice(listing.kind.nouns))
    place = str(rng.choice(_PLACES[listing.kind.room]))
    facts = [
        f"A {noun} with a {_word(listing, 'style', rng)} feel for your {place}.",
        f"Made of {_word(listing, 'material', rng)}.",
        f"In {_word(listing, 'colour', rng)} tones.",
        f"The surface is {_word(listing, 'pattern', rng)}.",
    ]
    kept = [fact for fact in facts if rng.random() < 0.45]
    praise = [str(word) for word in rng.choice(_PRAISE, int(rng.integers(1, 3)), replace=False)]
    sentences = kept + praise
    return " ".join(sentences[place] for place in rng.permutation(len(sentences)))


def _attributes(listing: Listing, rng: np.random.Generator) -> str:
    """A form that sellers fill in half: JSON with sorted keys."""
    said = {
        name: _word(listing, name, rng)
        for name in ("colour", "material", "pattern")
        if rng.random() < 0.5
    }
    return json.dumps(said, sort_keys=True)
