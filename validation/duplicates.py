"""Listings that are the same piece twice: by their words, and by their photos.

A batch is compared with itself and with the accepted catalogue. Rows with equal content are
found at once; near copies share one of a few keys, so that the cost grows with the pairs that
are alike and not with the square of the rows. What comes once is put aside early: a batch of a
million different listings takes some 30 bytes each.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from validation.contents import Alike, Contents, Rows
from validation.identities import Truths, among, repeated
from validation.spool import Numbers

COMMON: Final = 50
"""Different contents that share a key, above which the key is passed over."""
PAIRS_AT_ONCE: Final = 100_000


@dataclass(frozen=True, slots=True)
class Twins:
    """For each of the N rows of a batch the other listing of the same content."""

    twin: Rows
    """(N,) its row in the batch, or N and more in the catalogue; -1 where there is none."""
    sharing: Rows
    """(N,) listings with exactly this content, the row's own among them; 0 without content."""


@dataclass(frozen=True, slots=True)
class _Shared:
    """The contents that more than one row has: S rows of C contents."""

    rows: Rows
    """(S,) ascending."""
    content: Rows
    """(S,) each row's content."""
    first: Rows
    """(C,) the first row of each."""
    second: Rows
    """(C,) the first row of another listing, or any row where there is none."""
    owners: Rows
    """(C,) listings that have it."""


def twins(both: Contents, count: int, *, alike: Alike) -> Twins:
    """Find the twins of a batch in itself and in the catalogue.

    Args:
        both: the batch's contents, then those of the catalogue that `may_share` with them.
        count: N, how many are the batch's.
        alike: tells near copies.
    """
    has = both.codes != 0
    shared = _shared(both, np.flatnonzero(has & among(both.codes, repeated(both.codes[has]))))
    sharing = has[:count].astype(np.int64)
    alone, representative = has.copy(), has.copy()
    representative[shared.rows] = False
    representative[shared.first] = True
    alone[shared.rows] = shared.owners[shared.content] == 1
    alone[count:] = False
    chosen = np.flatnonzero(representative)
    twin = _partners(both, chosen, alone[chosen], alike)[:count]
    ours = shared.rows < count
    rows, content = shared.rows[ours], shared.content[ours]
    sharing[rows] = shared.owners[content]
    first, second = shared.first[content], shared.second[content]
    others = np.where(both.owners[first] == both.owners[rows], second, first)
    near = twin[np.minimum(first, count - 1)]  # the batch comes first, and so does its row
    twin[rows] = np.where(shared.owners[content] > 1, others, near)
    own = (twin >= 0) & (both.owners[twin] == both.owners[:count])
    return Twins(np.where(own, -1, twin), sharing)


def _shared(both: Contents, rows: Rows) -> _Shared:
    _, content = np.unique(both.codes[rows], return_inverse=True)
    order = np.lexsort((rows, both.owners[rows], content))
    same = (np.diff(content[order]) == 0) & (np.diff(both.owners[rows[order]]) == 0)
    chosen = order[np.concatenate([[True], ~same])[: len(order)]]
    chosen = chosen[np.lexsort((rows[chosen], content[chosen]))]
    holders, owners = rows[chosen], np.bincount(content[chosen])
    starts = np.cumsum(owners) - owners
    seconds = np.minimum(starts + 1, max(0, len(holders) - 1))
    return _Shared(rows, content, holders[starts], holders[seconds], owners)


def _partners(contents: Contents, rows: Rows, wanted: Truths, alike: Alike) -> Rows:
    """(N,) for each wanted row the first of the others like it that a key brings together.

    Args:
        rows: (C,) one row of every different content, ascending; all others get -1.
        wanted: (C,) whose partner is sought.
    """
    none = len(contents)
    partners = np.full(none, none, np.int64)
    if wanted.any():
        for one, other in _pairs(contents.keys, rows, wanted):
            same = alike(contents, one, other)
            np.minimum.at(partners, one[same], other[same])
            np.minimum.at(partners, other[same], one[same])
    partners[partners == none] = -1
    return partners


def _pairs(keys: tuple[Numbers, ...], rows: Rows, wanted: Truths) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of rows, one of them wanted, that share a key which few share."""
    asked = np.zeros(rows[-1] + 1, dtype=bool)
    asked[rows[wanted]] = True
    for key in keys:
        band = key.all()[rows]
        some = np.flatnonzero(among(band, repeated(band)))
        order = some[np.argsort(band[some], kind="stable")]
        ordered = band[order]
        _, inverse, sizes = np.unique(ordered, return_inverse=True, return_counts=True)
        few = sizes[inverse] <= COMMON
        order, ordered = rows[order[few]], ordered[few]
        for step in range(1, COMMON):
            same = ordered[step:] == ordered[:-step]
            if not same.any():
                break
            one, other = order[:-step][same], order[step:][same]
            either = asked[one] | asked[other]
            one, other = one[either], other[either]
            for start in range(0, len(one), PAIRS_AT_ONCE):
                stop = start + PAIRS_AT_ONCE
                yield one[start:stop], other[start:stop]
