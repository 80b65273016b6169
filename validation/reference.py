"""What the accepted catalogue is like: what a new listing is compared with.

Limits are robust quantiles of the catalogue's own listings, never constants; where it holds too
few to say what is usual, nothing is unusual.
"""

import difflib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import pandas as pd

from validation import tables
from validation.currencies import CURRENCIES
from validation.duplicates import FINGERPRINT, TEXT
from validation.facts import labelled

ENOUGH: Final = 50
"""Accepted listings from which what they have in common counts as usual."""
ENOUGH_PRICES: Final = 30
REACH: Final = 3.0
"""Interquartile ranges, on a log scale, that a price may lie beyond the quartiles."""
LEAST_RANGE: Final = 0.7
"""Least interquartile range of log prices: a factor of two."""
LARGEST_LOG: Final = 700.0
"""exp of more is no number."""
RARE: Final = 0.01
"""Share of the catalogue's titles below which a script is unusual."""
SCRIPTS: Final = {
    "Latin": "a-zA-Z\u00c0-\u024f",
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


@dataclass(frozen=True, slots=True)
class Reference:
    """What is usual."""

    categories: frozenset[str]
    """Paths in one spelling; empty where there are too few listings to say."""
    currencies: frozenset[str]
    scripts: frozenset[str]
    prices: pd.DataFrame
    """`low`, `high` by (currency, level of the category path, path at that level)."""
    texts: pd.DataFrame
    """`item_id`, `text` and `attributes` of the catalogue."""
    photos: pd.DataFrame
    """`item_id` and `fingerprint` of the catalogue's photos."""

    @classmethod
    def of(
        cls, known: pd.DataFrame | None, *, batch: pd.DataFrame, photos: pd.DataFrame | None
    ) -> "Reference":
        """Learn from the accepted catalogue; prices from the batch as well.

        Args:
            known: canonical items, or only some of their columns; None or empty at first.
            batch: the listings to be checked, canonical.
            photos: `item_id` and `fingerprint` of the catalogue.
        """
        given = known if known is not None else tables.ITEMS.empty()
        columns = (
            *(tables.TITLE, tables.DESCRIPTION, tables.ATTRIBUTES),
            *(tables.CATEGORY, tables.CURRENCY, tables.PRICE),
        )
        known = given.reindex(columns=[tables.ITEM_ID, *columns])
        return cls(
            categories=_usual(known[tables.CATEGORY].map(one_spelling)),
            currencies=_usual(known[tables.CURRENCY]),
            scripts=_usual(known[tables.TITLE].map(script_of), share=RARE),
            prices=_price_limits(pd.concat([known, batch.reindex(columns=known.columns)])),
            texts=wording_of(known).assign(**{tables.ITEM_ID: known[tables.ITEM_ID]}),
            photos=photos
            if photos is not None
            else pd.DataFrame(columns=[tables.ITEM_ID, FINGERPRINT]),
        )

    def unknown_categories(self, categories: pd.Series) -> dict[int, str]:
        """Row → what a sentence says of a category that the catalogue does not have."""
        if not self.categories:
            return {}
        spelled = categories.dropna().map(one_spelling).astype(object)
        unknown = spelled[~spelled.isin(self.categories)]
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

    def unusual_prices(self, items: pd.DataFrame) -> dict[int, str]:
        """Row → the usual range of its category, where its price lies far outside."""
        if self.prices.empty:
            return {}
        told: dict[int, str] = {}
        priced = items[items[tables.PRICE] > 0]
        open_rows = pd.Series(True, index=priced.index)
        for level in sorted(self.prices.index.unique("level"), reverse=True):
            limits = self.prices.xs(level, level="level")
            paths = pd.Series(_at_level(priced[tables.CATEGORY], level), index=priced.index)
            keys = pd.MultiIndex.from_arrays([priced[tables.CURRENCY].fillna(""), paths])
            at = limits.reindex(keys)
            low, high = at["low"].to_numpy(), at["high"].to_numpy()
            judged = open_rows.to_numpy() & ~np.isnan(low)
            prices = priced[tables.PRICE].to_numpy(dtype=np.float64)
            outside = pd.Series(judged & ((prices < low) | (prices > high)), index=priced.index)
            told.update(
                (row, f"{least:.2f} to {most:.2f}")
                for (row, far), least, most in zip(labelled(outside), low, high, strict=True)
                if far
            )
            open_rows &= ~judged
        return told

    def _nearest(self, path: str) -> str:
        close = difflib.get_close_matches(path, sorted(self.categories), n=1, cutoff=0.6)
        return f"; did you mean {close[0]!r}?" if close else ""


def wording_of(items: pd.DataFrame) -> pd.DataFrame:
    """`text`, title and description as one, null where there is neither, and `attributes`."""
    both = items[tables.TITLE].fillna("") + " " + items[tables.DESCRIPTION].fillna("")
    text = both.str.strip().replace("", None).astype(object)
    return pd.DataFrame({TEXT: text, tables.ATTRIBUTES: items[tables.ATTRIBUTES]})


def one_spelling(path: object) -> str | None:
    """A category path with single blanks around its separators, in lower case."""
    levels = tables.category_levels(path if isinstance(path, str) else None)
    return " > ".join(" ".join(level.split()).casefold() for level in levels) or None


@cache
def _script_patterns() -> dict[str, re.Pattern[str]]:
    return {name: re.compile(f"[{letters}]") for name, letters in SCRIPTS.items()}


def script_of(text: object) -> str | None:
    """The script that most letters of the text are in; None without any known letter."""
    if not isinstance(text, str):
        return None
    counts = {name: len(pattern.findall(text)) for name, pattern in _script_patterns().items()}
    script = max(counts, key=lambda name: counts[name])
    return script if counts[script] else None


def _usual(values: pd.Series, *, share: float = 0.0) -> frozenset[str]:
    present = values.dropna()
    if len(present) < ENOUGH:
        return frozenset()
    shares = present.value_counts(normalize=True)
    return frozenset(shares[shares >= share].index)


def _at_level(categories: pd.Series, level: int) -> Sequence[str]:
    """Each path's first `level` levels in one spelling; all of one at level 0."""
    categories = categories.fillna("")
    cut = {
        path: " > ".join((one_spelling(path) or "").split(" > ")[:level]) if level else ""
        for path in categories.unique()
    }
    return [cut[path] for path in categories]


def _price_limits(items: pd.DataFrame) -> pd.DataFrame:
    """The usual range of prices of every category, its parent and all."""
    priced = items[items[tables.PRICE] > 0]
    logs = np.log(priced[tables.PRICE].to_numpy(dtype=np.float64))
    deepest = max(
        (len(tables.category_levels(path)) for path in priced[tables.CATEGORY].dropna().unique()),
        default=0,
    )
    parts = []
    for level in range(min(deepest, 3) + 1):
        frame = pd.DataFrame(
            {
                "currency": priced[tables.CURRENCY].fillna("").to_numpy(),
                "level": level,
                "path": _at_level(priced[tables.CATEGORY], level),
                "log": logs,
            }
        )
        groups = frame.groupby(["currency", "level", "path"])["log"]
        quartiles = groups.quantile(np.array([0.25, 0.75])).unstack().reindex(columns=[0.25, 0.75])
        spread = (quartiles[0.75] - quartiles[0.25]).clip(lower=LEAST_RANGE)
        limits = pd.DataFrame(
            {
                "low": np.exp((quartiles[0.25] - REACH * spread).clip(lower=-LARGEST_LOG)),
                "high": np.exp((quartiles[0.75] + REACH * spread).clip(upper=LARGEST_LOG)),
            }
        )
        parts.append(limits[groups.size() >= ENOUGH_PRICES])
    return pd.concat(parts)
