"""Listings that are the same piece twice: by their words, and by their photos.

A batch is compared with itself and with the accepted catalogue. Rows with equal content are
found at once; near copies share one of a few keys, so that the cost grows with the pairs that
are alike and not with the square of the rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from validation.contents import Alike, Contents, Keys, Rows
from validation.identities import Hashes, Truths

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


def twins(both: Contents, count: int, *, alike: Alike) -> Twins:
    """Find the twins of a batch in itself and in the catalogue.

    Args:
        both: the batch's contents, then those of the catalogue that `may_share` with them.
        count: N, how many are the batch's.
        alike: tells near copies.
    """
    rows = np.flatnonzero(both.codes)
    found = np.full(count, -1, np.int64)
    sharing = np.zeros(count, np.int64)
    if not len(rows):
        return Twins(found, sharing)
    first_rows, content = _numbered(both.codes[rows])
    holders, holder_content = _holders(rows, content, both.owners)
    counts = np.bincount(holder_content, minlength=len(first_rows))
    starts = np.cumsum(counts) - counts
    first, second = holders[starts], holders[np.minimum(starts + 1, len(holders) - 1)]
    ours = rows < count
    mine, own = rows[ours], content[ours]
    sharing[mine] = counts[own]
    equal = counts[own] > 1
    other = np.where(both.owners[first[own]] == both.owners[mine], second[own], first[own])
    found[mine[equal]] = other[equal]
    alone = np.zeros(len(first_rows), dtype=bool)
    alone[own[~equal]] = True
    partner = _partners(both, rows[first_rows], alone, alike)[own]
    near = ~equal & (partner >= 0)
    near[near] = both.owners[first[partner[near]]] != both.owners[mine[near]]
    found[mine[near]] = first[partner[near]]
    return Twins(found, sharing)


def _numbered(codes: Hashes) -> tuple[Rows, Rows]:
    """Where each different code stands first, ascending, and each code's place among these."""
    _, first, inverse = np.unique(codes, return_index=True, return_inverse=True)
    order = np.argsort(first)
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return first[order], place[inverse]


def _holders(rows: Rows, content: Rows, owners: Hashes) -> tuple[Rows, Rows]:
    """The first row of every listing of every content, by content and row, and its content."""
    order = np.lexsort((rows, owners[rows], content))
    same = (np.diff(content[order]) == 0) & (np.diff(owners[rows[order]]) == 0)
    chosen = order[np.concatenate([[True], ~same])]
    chosen = chosen[np.lexsort((rows[chosen], content[chosen]))]
    return rows[chosen], content[chosen]


def _partners(contents: Contents, rows: Rows, wanted: Truths, alike: Alike) -> Rows:
    """(C,) of each wanted content the first other like it, of those a key brings together.

    Args:
        rows: (C,) a row of every different content.
        wanted: (C,) whose partner is sought.
    """
    none = len(rows)
    partners = np.full(none, none, np.int64)
    if none < 2 or not wanted.any():
        return np.full(none, -1, np.int64)
    for one, other in _pairs(contents.keys, rows, wanted):
        same = alike(contents, rows[one], rows[other])
        np.minimum.at(partners, one[same], other[same])
        np.minimum.at(partners, other[same], one[same])
    return np.where(partners < none, partners, -1)


def _pairs(keys: tuple[Keys, ...], rows: Rows, wanted: Truths) -> Iterator[tuple[Rows, Rows]]:
    """Pairs of contents, one of them wanted, that share a key which few share."""
    for band in keys:
        order = np.argsort(band[rows], kind="stable")
        ordered = band[rows[order]]
        _, inverse, sizes = np.unique(ordered, return_inverse=True, return_counts=True)
        size = sizes[inverse]
        few = (size > 1) & (size <= COMMON)
        order, ordered = order[few], ordered[few]
        for step in range(1, COMMON):
            same = ordered[step:] == ordered[:-step]
            if not same.any():
                break
            one, other = order[:-step][same], order[step:][same]
            asked = wanted[one] | wanted[other]
            one, other = one[asked], other[asked]
            for start in range(0, len(one), PAIRS_AT_ONCE):
                stop = start + PAIRS_AT_ONCE
                yield one[start:stop], other[start:stop]
