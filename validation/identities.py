"""Ids as hashes: which are known and which come twice, at eight bytes an id."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from validation.reasons import raw_rows

Hashes = npt.NDArray[np.uint64]
Truths = npt.NDArray[np.bool_]
Values = npt.NDArray[Any]


def hashed(values: pd.Series) -> Hashes:
    """(N,) a 64-bit hash of each text, null among them; the same in every process."""
    texts = values.astype(object).where(values.notna(), "\x00")
    return pd.util.hash_array(texts.map(str).to_numpy(dtype=object), categorize=False)


def among(values: Values, ascending: Values) -> Truths:
    """(N,) which of the values are among some in ascending order."""
    if not len(ascending):
        return np.zeros(len(values), dtype=bool)
    places = np.searchsorted(ascending, values)
    np.minimum(places, len(ascending) - 1, out=places)
    found: Truths = ascending[places] == values
    return found


def distinct(values: Values) -> Values:
    """Each value once, ascending.

    `numpy.unique` goes by a hash table, which takes twenty times as long of a million hashes and
    a hundred times as long of keys whose lower halves are few. Values that all but ascend, or
    ascend part by part, take the least.
    """
    return _each_once(np.sort(values, kind="stable"))


def repeated(values: Values) -> Values:
    """The values that come more than once, each once, ascending."""
    ascending = np.sort(values)
    return _each_once(ascending[1:][ascending[1:] == ascending[:-1]])


def _each_once(ascending: Values) -> Values:
    """Values in ascending order, each once."""
    first = np.ones(len(ascending), dtype=bool)
    np.not_equal(ascending[1:], ascending[:-1], out=first[1:])
    return ascending[first]


@dataclass(frozen=True, slots=True)
class Ids:
    """A set of ids."""

    hashes: Hashes
    """Ascending, each once."""

    @classmethod
    def of(cls, ids: "Iterable[str] | Ids") -> "Ids":
        """The set of these ids."""
        if isinstance(ids, Ids):
            return ids
        values = ids if isinstance(ids, pd.Series) else pd.Series(list(ids), dtype=object)
        return cls(distinct(hashed(values)))

    def has(self, ids: pd.Series) -> Truths:
        """(N,) which of the ids are in the set."""
        return among(hashed(ids), self.hashes)

    @classmethod
    def union(cls, parts: "Sequence[Ids]") -> "Ids":
        """The ids that are in any of the parts, at least one."""
        return cls(distinct(np.concatenate([part.hashes for part in parts])))


@dataclass(slots=True)
class FirstRows:
    """Which rows are the first of their id, told chunk after chunk."""

    repeated: Ids
    """Ids that come more than once in the batch; the others need not be remembered."""
    _seen: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Id → its first row's number, and a hash of that row."""

    def take(
        self, ids: pd.Series, raw: pd.DataFrame, *, offset: int
    ) -> tuple[Truths, dict[int, str]]:
        """Whether each row is the first of its id, and how the others relate to the first.

        Args:
            ids: (N,) of the rows that passed everything else, at their place in `raw`.
            raw: the chunk as it came.
            offset: number of the chunk's first row.
        """
        first = np.ones(len(ids), dtype=bool)
        told: dict[int, str] = {}
        places = np.flatnonzero(self.repeated.has(ids))
        rows = ids.index.to_numpy()[places]
        contents = map(hash, raw_rows(raw.loc[rows]))
        for place, row, name, content in zip(
            places.tolist(), rows.tolist(), ids.iloc[places].tolist(), contents, strict=True
        ):
            earlier, its_content = self._seen.setdefault(name, (offset + row, content))
            if earlier == offset + row:
                continue
            first[place] = False
            same = "an identical row" if content == its_content else "whose values differ"
            told[row] = f"is also the id of row {earlier}, {same}"
        return first, told
