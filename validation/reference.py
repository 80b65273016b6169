"""What the accepted catalogue is like: what a new listing is compared with.

Where it holds too few listings to say what is usual, nothing is unusual.
"""

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from validation import tables
from validation.contents import (
    FINGERPRINT,
    TEXT,
    Contents,
    joined,
    photo_contents,
    text_contents,
)
from validation.currencies import CURRENCIES
from validation.facts import labelled
from validation.languages import NAMES, foreign, language_of, sampled, telling
from validation.prices import in_one_spelling

ENOUGH: Final = 50
"""Accepted listings from which what they have in common counts as usual."""
RARE: Final = 0.01
"""Share of the catalogue's texts below which a script or a language is unusual."""
SCRIPT: Final = "script"
LANGUAGE: Final = "language"
LATIN: Final = "Latin"
SCRIPTS: Final = {
    LATIN: "a-zA-Z\u00c0-\u024f",
    "Greek": "\u0370-\u03ff",
    "Cyrillic": "\u0400-\u04ff",
    "Hebrew": "\u0590-\u05ff",
    "Arabic": "\u0600-\u06ff",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
    "Hangul": "\uac00-\ud7af",
    "Kana": "\u3040-\u30ff",
    "Han": "\u4e00-\u9fff",
}
COMPARED: Final = (
    *(tables.ITEM_ID, tables.SOURCE, tables.TITLE, tables.DESCRIPTION, tables.ATTRIBUTES),
    *(tables.CATEGORY, tables.CURRENCY, tables.PRICE),
)


@dataclass(frozen=True, slots=True)
class Reference:
    """The accepted listings, as far as new ones are compared with them."""

    listings: pd.DataFrame
    """`item_id`, `source`, `category`, `currency`, `price`, the title's `script` and, of a sample,
    the `language`."""
    texts: Contents
    photos: Contents
    photo_ids: pd.Series
    """The ids of `photos`; those of `texts` are the listings'."""
    categories: Mapping[str, str]
    """Path in one spelling → as the catalogue writes it most often; empty where there are too few
    listings to say."""
    currencies: frozenset[str]
    scripts: frozenset[str]
    languages: frozenset[str]
    """ISO 639-1 codes."""

    @classmethod
    def of(
        cls, known: pd.DataFrame | None = None, *, photos: pd.DataFrame | None = None
    ) -> "Reference":
        """Learn from the accepted catalogue.

        Args:
            known: canonical items, or only some of their columns; None or empty at first.
            photos: `item_id` and `fingerprint` of the catalogue.
        """
        given = (known if known is not None else tables.ITEMS.empty()).reindex(columns=COMPARED)
        given = given.drop_duplicates(tables.ITEM_ID).reset_index(drop=True)
        prints = photos if photos is not None else _no_photos()
        texts = text_contents(wording_of(given), given[tables.ITEM_ID])
        sample = telling(given[sampled(texts.owners)])
        slim = given[[tables.ITEM_ID, tables.SOURCE, tables.CATEGORY]].assign(
            **{
                tables.CURRENCY: given[tables.CURRENCY],
                tables.PRICE: given[tables.PRICE].astype("float64"),
                SCRIPT: given[tables.TITLE].map(script_of),
                LANGUAGE: sample.map(language_of).astype(object).reindex(given.index),
            }
        )
        return cls._learned(
            slim,
            texts,
            photo_contents(prints[FINGERPRINT], prints[tables.ITEM_ID]),
            prints[tables.ITEM_ID].reset_index(drop=True),
        )

    @classmethod
    def _learned(
        cls, listings: pd.DataFrame, texts: Contents, photos: Contents, photo_ids: pd.Series
    ) -> "Reference":
        return cls(
            *(listings, texts, photos, photo_ids),
            categories=_usual_spellings(listings[tables.CATEGORY]),
            currencies=_usual(listings[tables.CURRENCY]),
            scripts=_usual(listings[SCRIPT], share=RARE),
            languages=_usual(listings[LANGUAGE][sampled(texts.owners)], share=RARE),
        )

    def with_listings(self, items: pd.DataFrame, *, photos: pd.DataFrame | None) -> "Reference":
        """With more listings, in place of those of the same ids.

        Args:
            items: canonical.
            photos: `item_id` and `fingerprint` of these; None where there are none.
        """
        added = Reference.of(items, photos=photos)
        ids = added.listings[tables.ITEM_ID]
        stay, shown = ~self.listings[tables.ITEM_ID].isin(ids), ~self.photo_ids.isin(ids)
        return Reference._learned(
            pd.concat([self.listings[stay], added.listings], ignore_index=True),
            joined([self.texts.take(np.flatnonzero(stay)), added.texts]),
            joined([self.photos.take(np.flatnonzero(shown)), added.photos]),
            pd.concat([self.photo_ids[shown], added.photo_ids], ignore_index=True),
        )

    def other_owners(self, items: pd.DataFrame) -> pd.Series:
        """(N,) the source that already owns each listing's id, if it is another; else None."""
        if self.listings.empty:
            return pd.Series(None, index=items.index, dtype=object)
        owners = self.listings.set_index(tables.ITEM_ID)[tables.SOURCE]
        owner = items[tables.ITEM_ID].map(owners).astype(object)
        return owner.where(owner.notna() & (owner != items[tables.SOURCE]), None)

    def unknown_categories(self, categories: pd.Series) -> dict[int, str]:
        """Row → what a sentence says of a category that the catalogue does not have."""
        if not self.categories:
            return {}
        spelled = in_one_spelling(categories.dropna())
        unknown = spelled[~spelled.isin(list(self.categories)) & spelled.notna()]
        nearest = {path: self._nearest(path) for path in unknown.unique()}
        return {row: nearest[str(path)] for row, path in labelled(unknown)}

    def unusual_currencies(self, currencies: pd.Series) -> dict[int, str]:
        """Row → the usual currencies, where its own is none of them."""
        if not self.currencies:
            return {}
        known = currencies[currencies.isin(CURRENCIES)]
        unusual = known[~known.isin(self.currencies)]
        usual = ", ".join(sorted(self.currencies))
        return {row: usual for row, _ in labelled(unusual)}

    def unusual_scripts(self, titles: pd.Series) -> dict[int, str]:
        """Row → the script of a title that the catalogue's titles hardly ever use."""
        if not self.scripts:
            return {}
        scripts = titles.map(script_of).dropna()
        unusual = scripts[~scripts.isin(self.scripts)]
        return {row: str(script) for row, script in labelled(unusual)}

    def unusual_languages(self, items: pd.DataFrame) -> dict[int, str]:
        """Row → the language of a listing that is surely in none of the catalogue's."""
        if not self.languages:
            return {}
        unusual = telling(items).map(lambda text: foreign(text, self.languages)).dropna()
        usual = ", ".join(sorted(NAMES[language] for language in self.languages))
        return {
            row: f"{language}, while the catalogue's are in {usual}"
            for row, language in labelled(unusual)
        }

    def _nearest(self, path: str) -> str:
        close = difflib.get_close_matches(path, sorted(self.categories), n=1, cutoff=0.6)
        return f"; did you mean {self.categories[close[0]]!r}?" if close else ""


def wording_of(items: pd.DataFrame) -> pd.DataFrame:
    """`text`, title and description as one, null where there is neither, and `attributes`."""
    both = items[tables.TITLE].fillna("") + " " + items[tables.DESCRIPTION].fillna("")
    text = both.str.strip().replace("", None).astype(object)
    return pd.DataFrame({TEXT: text, tables.ATTRIBUTES: items[tables.ATTRIBUTES]})


@cache
def _script_patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(f"[{letters}]") for name, letters in SCRIPTS.items()}


def script_of(text: object) -> str | None:
    """The script that most letters of the text are in; None without any known letter."""
    if not isinstance(text, str):
        return None
    if text.isascii():  # most titles of a million, which need not be searched for other letters
        return LATIN if _script_patterns()[LATIN].search(text) else None
    counts = {name: len(pattern.findall(text)) for name, pattern in _script_patterns().items()}
    script = max(counts, key=lambda name: counts[name])
    return script if counts[script] else None


def _no_photos() -> pd.DataFrame:
    return pd.DataFrame({tables.ITEM_ID: [], FINGERPRINT: []}, dtype=object)


def _usual_spellings(paths: pd.Series) -> dict[str, str]:
    counts = paths.value_counts()  # the most frequent first
    written = pd.Series(counts.index, index=in_one_spelling(counts.index.to_series()))
    usual = _usual(in_one_spelling(paths))
    return {path: text for path, text in written.groupby(level=0).first().items() if path in usual}


def _usual(values: pd.Series, *, share: float = 0.0) -> frozenset[str]:
    present = values.dropna()
    if len(present) < ENOUGH:
        return frozenset()
    shares = present.value_counts(normalize=True)
    return frozenset(shares[shares >= share].index)
