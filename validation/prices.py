"""What listings of a category usually cost: robust quantiles of the listings there are."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from validation import tables
from validation.facts import labelled

ENOUGH: Final = 30
REACH: Final = 3.0
"""Interquartile ranges, on a log scale, that a price may lie beyond the quartiles."""
LEAST_RANGE: Final = 0.7
"""Least interquartile range of log prices: a factor of two."""
LARGEST_LOG: Final = 700.0
"""exp of more is no number."""
DEEPEST: Final = 3
"""Level of the category path down to which limits are kept."""

Names = dict[str, int]


def spelled_levels(path: object) -> tuple[str, ...]:
    """The levels of a category path, root first, with single blanks and in lower case."""
    levels = tables.category_levels(path if isinstance(path, str) else None)
    return tuple(" ".join(level.split()).casefold() for level in levels)


def one_spelling(path: object) -> str | None:
    """A category path with single blanks around its separators, in lower case."""
    return " > ".join(spelled_levels(path)) or None


def in_one_spelling(paths: pd.Series) -> pd.Series:
    """(N,) each path in one spelling, null where there is none."""
    spelled = {path: one_spelling(path) for path in paths.dropna().unique()}
    return pd.Series([spelled.get(path) for path in paths], index=paths.index, dtype=object)


@dataclass(frozen=True, slots=True)
class PriceLimits:
    """The usual range of every category, its parents and all, in every currency."""

    limits: pd.DataFrame
    """`low`, `high` by (currency, level of the category path, path at that level)."""

    def unusual(self, items: pd.DataFrame) -> dict[int, str]:
        """Row → the usual range of its category, where its price lies far outside.

        The deepest level of the category that has limits counts.
        """
        if self.limits.empty:
            return {}
        told: dict[int, str] = {}
        priced = items[items[tables.PRICE] > 0]
        prices = priced[tables.PRICE].to_numpy(dtype=np.float64)
        still_open = np.ones(len(priced), dtype=bool)
        spelled = in_one_spelling(priced[tables.CATEGORY])
        for level in sorted(self.limits.index.unique("level"), reverse=True):
            cut = {path: _at_level(path, level) for path in spelled.unique()}
            keys = pd.MultiIndex.from_arrays([priced[tables.CURRENCY].fillna(""), spelled.map(cut)])
            at = self.limits.xs(level, level="level").reindex(keys)
            low, high = at["low"].to_numpy(), at["high"].to_numpy()
            judged = still_open & ~np.isnan(low)
            outside = pd.Series(judged & ((prices < low) | (prices > high)), index=priced.index)
            told.update(
                (row, f"{least:.2f} to {most:.2f}")
                for (row, far), least, most in zip(labelled(outside), low, high, strict=True)
                if far
            )
            still_open &= ~judged
        return told


@dataclass(slots=True)
class PriceSurvey:
    """Collects prices, chunk after chunk, at twelve bytes each."""

    _currencies: Names = field(default_factory=dict)
    _paths: Names = field(default_factory=dict)
    _parts: list[pd.DataFrame] = field(default_factory=list)

    def add(self, items: pd.DataFrame) -> None:
        """Take the prices of canonical items."""
        priced = items[items[tables.PRICE] > 0]
        paths = in_one_spelling(priced[tables.CATEGORY]).fillna("")
        self._parts.append(
            pd.DataFrame(
                {
                    "currency": _numbers(priced[tables.CURRENCY].fillna(""), self._currencies),
                    "path": _numbers(paths, self._paths),
                    "log": np.log(priced[tables.PRICE].to_numpy(dtype=np.float64)).astype("f4"),
                }
            )
        )

    def limits(self) -> PriceLimits:
        """What was usual among all that was added."""
        prices = pd.concat(self._parts) if self._parts else pd.DataFrame({"log": []})
        deepest = max((path.count(" > ") + 1 for path in self._paths if path), default=0)
        levels = range(min(deepest, DEEPEST) + 1)
        found = [self._at(level, prices) for level in levels if len(prices)]
        nothing = pd.DataFrame({"low": [], "high": []}, index=_limit_index([]))
        return PriceLimits(pd.concat(found) if found else nothing)

    def _at(self, level: int, prices: pd.DataFrame) -> pd.DataFrame:
        names: Names = {}
        cut = [names.setdefault(_at_level(path, level), len(names)) for path in self._paths]
        places = np.array(cut, dtype=np.int32)[prices["path"].to_numpy()]
        groups = prices["log"].groupby([prices["currency"].to_numpy(), places])
        quartiles = groups.quantile(np.array([0.25, 0.75])).unstack().reindex(columns=[0.25, 0.75])
        quartiles = quartiles.astype(np.float64)[groups.size() >= ENOUGH]
        spread = (quartiles[0.75] - quartiles[0.25]).clip(lower=LEAST_RANGE)
        currencies, paths = list(self._currencies), list(names)
        index = [(currencies[money], level, paths[path]) for money, path in quartiles.index]
        return pd.DataFrame(
            {
                "low": np.exp((quartiles[0.25] - REACH * spread).clip(lower=-LARGEST_LOG)),
                "high": np.exp((quartiles[0.75] + REACH * spread).clip(upper=LARGEST_LOG)),
            }
        ).set_axis(_limit_index(index))


def _limit_index(limits: list[tuple[str, int, str]]) -> pd.MultiIndex:
    return pd.MultiIndex.from_tuples(limits, names=["currency", "level", "path"])


def _at_level(path: str | None, level: int) -> str:
    """A path's first `level` levels; all of one at level 0."""
    return " > ".join((path or "").split(" > ")[:level]) if level else ""


def _numbers(values: pd.Series, known: Names) -> npt.NDArray[np.int32]:
    """(N,) each value's number; new values get the next ones."""
    codes, uniques = pd.factorize(values)
    numbers = [known.setdefault(str(value), len(known)) for value in uniques]
    return np.array(numbers, dtype=np.int32)[codes]
