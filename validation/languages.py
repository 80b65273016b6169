"""Which language a listing is written in, where its text says so surely.

The detector is ELD-C: n-grams of 60 languages, offline. It scores a text in each language from
0 to 1; a listing is in another language than the catalogue where its best score exceeds those of
all usual languages by `MARGIN`. Measured with English usual:

- False warnings: 1 of a furniture shop's 2,191 listings, 2 of a gift shop's 4,006 (titles alone),
  1 each of 3,686 and 3,700 tools and cosmetics of two marketplaces; beside them it finds the one
  listing in Spanish that each of these two has. By titles alone 6 of the furniture, which is named
  in Swedish, and 1 of the tools. So 0.04 %, and at worst 0.3 %.
- Recall: all of 48 product sentences in German, French, Spanish, Dutch, Italian and Polish, as a
  title or as the description under an English title; 45 of their first five words and 29 of their
  first four, which are mostly too short; 19 of 20 titles that are mere nouns and adjectives, where
  the detector's own mark of a reliable result finds 7. With another of these languages usual
  it is 47 or 48 sentences. A foreign title above a description as usual is not told.
- 3 to 10 µs a listing.

Source: https://github.com/nitotm/eldc.
"""

import re
from collections.abc import Collection
from functools import cache
from typing import Any, Final

import eldc
import numpy as np
import pandas as pd

from validation import tables
from validation.identities import Hashes, Truths

LONG_ENOUGH: Final = re.compile(r"(?:[\W\d_]*+[^\W\d_]){20}")
"""Twenty letters: a text with fewer is in no language surely."""
READ: Final = 300
"""Characters of a text that are looked at."""
SCORES: Final = 20
"""Languages that a text is scored in, at most; in others its score is 0."""
MARGIN: Final = 0.3
"""By which its score, of 0 to 1, must exceed those of the usual languages."""
SAMPLE: Final = 2_000
"""Listings of a catalogue that its usual languages are learned from, where these say it."""
NAMES: Final = {
    "am": "Amharic",
    "ar": "Arabic",
    "az": "Azerbaijani",
    "be": "Belarusian",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "ca": "Catalan",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "et": "Estonian",
    "eu": "Basque",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "gu": "Gujarati",
    "he": "Hebrew",
    "hi": "Hindi",
    "hr": "Croatian",
    "hu": "Hungarian",
    "hy": "Armenian",
    "is": "Icelandic",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "kn": "Kannada",
    "ko": "Korean",
    "ku": "Kurdish",
    "lo": "Lao",
    "lt": "Lithuanian",
    "lv": "Latvian",
    "ml": "Malayalam",
    "mr": "Marathi",
    "ms": "Malay",
    "nl": "Dutch",
    "no": "Norwegian",
    "or": "Odia",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sk": "Slovak",
    "sl": "Slovene",
    "sq": "Albanian",
    "sr": "Serbian",
    "sv": "Swedish",
    "ta": "Tamil",
    "te": "Telugu",  # codespell:ignore te
    "th": "Thai",
    "tl": "Tagalog",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
    "yo": "Yoruba",
    "zh": "Chinese",
}


def language_of(text: object) -> str | None:
    """The code of the language that a text is surely in; None where it is none or unsure."""
    found = _found(text)
    return str(found.language) if found is not None and found.reliable else None


def foreign(text: object, usual: Collection[str]) -> str | None:
    """The name of the language that a text is in rather than in any usual one; None where unsure.

    Args:
        usual: codes of at least one.
    """
    found = _found(text)
    if found is None or found.language not in NAMES:
        return None
    nearest = max(found.scores.get(language, 0.0) for language in usual)
    apart = found.scores[found.language] - nearest >= MARGIN
    return NAMES[found.language] if apart else None


def telling(items: pd.DataFrame) -> pd.Series:
    """(N,) each listing's description, or title and description where that is short.

    A title is full of names, and says less of the language.
    """
    title, description = items[tables.TITLE].fillna(""), items[tables.DESCRIPTION].fillna("")
    long = description.map(_long_enough).astype(bool)
    return description.where(long, title + " " + description).astype(object)


def sampled(owners: Hashes) -> Truths:
    """(N,) which listings the usual languages are learned from: those of the least hashes.

    So the sample of a catalogue that grew is that of the same catalogue read at once.

    Args:
        owners: hashes of the listings' ids, which differ.
    """
    if len(owners) <= SAMPLE:
        return np.ones(len(owners), dtype=bool)
    chosen: Truths = owners <= np.partition(owners, SAMPLE - 1)[SAMPLE - 1]
    return chosen


def _long_enough(text: str) -> bool:
    return LONG_ENOUGH.match(text[:READ]) is not None


def _found(text: object) -> Any:
    if not isinstance(text, str) or not _long_enough(text):
        return None
    return _detector().detect_details(text[:READ])


@cache
def _detector() -> Any:
    eldc.init()
    detector = eldc.instance()
    detector.set_scores(SCORES)
    return detector
