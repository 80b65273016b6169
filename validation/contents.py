"""What listings hold, as numbers: equal content has one code, near copies share a key.

No text and no photo is kept, and what a long batch adds up to lies on disk.

Sources: MinHash (Broder, 1997) in bands (Leskovec, Rajaraman & Ullman, Mining of Massive
Datasets, ch. 3).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from validation import tables
from validation.identities import Hashes, Truths, among, distinct, hashed
from validation.spool import Numbers

TEXT: Final = "text"
FINGERPRINT: Final = "fingerprint"
SAME_WORDS: Final = 0.9
"""Jaccard similarity of two listings' words from which they read the same."""
FEWEST_WORDS: Final = 4
"""Shorter texts are alike by nature ("table lamp") and say nothing."""
BANDS: Final = 8
HASHES_A_BAND: Final = 4
"""A pair at SAME_WORDS shares one of the bands with a probability of 0.9998."""
NEAR_BITS: Final = 2
"""Differing bits of 64 up to which two photos are copies of one picture. On 900 photos of a
furniture shop, 96 % of copies saved again at quality 40 are found and 99 % of those at half the
size; 7 % of the photos have a neighbour, most of them an identical one."""
QUARTERS: Final = 4
NOT_A_WORD: Final = r"[^\pL\pN_]+"

Keys = npt.NDArray[np.uint32]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Contents:
    """The texts, or the photos, of N listings."""

    owners: Hashes
    """(N,) hashes of the listings' ids."""
    codes: Hashes
    """(N,) equal for equal content, 0 where there is none."""
    keys: tuple[Numbers, ...]
    """B of (N,); near copies share at least one of the B."""
    attributes: Hashes
    """(N,) what else must be equal for two texts to be copies; 0 for photos."""
    words: Numbers
    """(W,) each text's distinct words as hashes, ascending; empty for photos."""
    starts: Rows
    """(N + 1,) where each text's words start."""

    def __len__(self) -> int:
        return len(self.codes)

    def take(self, rows: Rows) -> "Contents":
        """Those of these rows, in their order."""
        lengths = np.diff(self.starts)[rows]
        return Contents(
            owners=self.owners[rows],
            codes=self.codes[rows],
            keys=tuple(Numbers(band.all()[rows]) for band in self.keys),
            attributes=self.attributes[rows],
            words=Numbers(self.words.at(self.starts[rows], lengths)),
            starts=_starts(lengths),
        )

    def may_share(self, others: "Contents") -> Truths:
        """(N,) which of them some other could equal or be near to, of another listing."""
        if not len(self):
            return np.zeros(0, dtype=bool)
        shared = among(self.codes, np.sort(others.codes))
        for ours, theirs in zip(self.keys, others.keys, strict=True):
            shared |= among(ours.all(), np.sort(theirs.all()))
        others_own = among(self.owners, np.sort(others.owners))
        found: Truths = shared & (self.codes != 0) & ~others_own
        return found


Alike = Callable[[Contents, Rows, Rows], Truths]


def joined(parts: Sequence[Contents]) -> Contents:
    """One after the other.

    Args:
        parts: at least one.
    """
    collected = ContentsSurvey()
    for part in parts:
        collected.add(part)
    return collected.contents()


class ContentsSurvey:
    """Collects contents part after part; what is much waits on disk."""

    def __init__(self) -> None:
        self._fields = {name: Numbers() for name in ("owners", "codes", "attributes")}
        self._lengths, self._words = Numbers(), Numbers()
        self._keys: list[Numbers] = []

    def add(self, part: Contents) -> None:
        """Take some more, of the same kind."""
        for name, numbers in self._fields.items():
            numbers.add(getattr(part, name))
        self._lengths.add(np.diff(part.starts))
        self._words.add(part.words.all())
        self._keys = self._keys or [Numbers() for _ in part.keys]
        for numbers, band in zip(self._keys, part.keys, strict=True):
            numbers.add(band.all())

    def contents(self) -> Contents:
        """All that was added, at least one part."""
        return Contents(
            **{name: numbers.all() for name, numbers in self._fields.items()},
            keys=tuple(self._keys),
            words=self._words,
            starts=_starts(self._lengths.all()),
        )


def text_contents(texts: pd.DataFrame, ids: pd.Series) -> Contents:
    """What listings say.

    Args:
        texts: (N,) `text`, title and description together, null where there is none, and
            `attributes`: variants differ in these.
        ids: (N,)
    """
    rows, words = _distinct_words(texts[TEXT])
    lengths = np.bincount(rows, minlength=len(texts))
    enough = lengths >= FEWEST_WORDS
    words, lengths = words[enough[rows]], np.where(enough, lengths, 0)
    attributes = hashed(texts[tables.ATTRIBUTES])
    codes = np.zeros(len(texts), np.uint64)
    keys = tuple(np.zeros(len(texts), np.uint32) for _ in range(BANDS))
    starts = _starts(lengths)
    if len(words):
        codes[enough] = _codes(words, starts[:-1][enough], attributes[enough])
        for band, found in zip(keys, _word_keys(words, starts[:-1][enough]), strict=True):
            band[enough] = found
    bands = tuple(map(Numbers, keys))
    return Contents(hashed(ids), codes, bands, attributes, Numbers(words), starts)


def photo_contents(fingerprints: pd.Series, ids: pd.Series) -> Contents:
    """What listings show.

    Args:
        fingerprints: (N,) of `photos.Photo`; null without a usable photo.
        ids: (N,)
    """
    prints = fingerprints.astype(object).where(fingerprints.notna(), 0)
    codes = np.array([int(value) for value in prints.tolist()], dtype=np.uint64)
    shifts = np.arange(0, 64, 64 // QUARTERS, dtype=np.uint64)
    quarters = [((codes >> shift) & np.uint64(0xFFFF)).astype(np.uint32) for shift in shifts]
    pairs = tuple(Numbers(one << np.uint32(16) | other) for one, other in combinations(quarters, 2))
    nothing = np.zeros(len(codes), np.uint64)
    return Contents(
        *(hashed(ids), codes, pairs, nothing),
        words=Numbers(np.zeros(0, np.uint32)),
        starts=np.zeros(len(codes) + 1, np.int64),
    )


def read_same(contents: Contents, one: Rows, other: Rows) -> Truths:
    """(P,) whether the texts of each pair have the same words and attributes."""
    starts = contents.starts
    lengths = [starts[rows + 1] - starts[rows] for rows in (one, other)]
    pairs = np.arange(len(one), dtype=np.uint64)
    sides = [
        np.repeat(pairs, length) << np.uint64(32) | contents.words.at(starts[rows], length)
        for rows, length in zip((one, other), lengths, strict=True)
    ]
    both = np.sort(np.concatenate(sides))
    twice = both[1:][both[1:] == both[:-1]] >> np.uint64(32)
    shared = np.bincount(twice.astype(np.int64), minlength=len(one))
    apart = lengths[0] + lengths[1] - shared
    equal = contents.attributes[one] == contents.attributes[other]
    same: Truths = equal & (shared >= SAME_WORDS * apart)
    return same


def look_same(contents: Contents, one: Rows, other: Rows) -> Truths:
    """(P,) whether the photos of each pair are copies of one picture."""
    same: Truths = np.bitwise_count(contents.codes[one] ^ contents.codes[other]) <= NEAR_BITS
    return same


def _distinct_words(texts: pd.Series) -> tuple[Rows, Keys]:
    """(W,) row and hash of every word, each once a row, in order of both."""
    arrow = pa.array(texts.astype(object).where(texts.notna(), ""), type=pa.string())
    spaced = pc.replace_substring_regex(pc.utf8_lower(arrow), pattern=NOT_A_WORD, replacement=" ")
    lists = pc.split_pattern(spaced, " ")
    flat = lists.flatten().dictionary_encode()
    known = np.array(flat.dictionary.to_pylist(), dtype=object)
    blank = known == ""
    short = pd.util.hash_array(known, categorize=False).astype(np.uint32)
    places = flat.indices.to_numpy()
    rows = np.repeat(np.arange(len(texts)), pc.list_value_length(lists).to_numpy())
    kept = ~blank[places]
    tagged = rows[kept].astype(np.uint64) << np.uint64(32) | short[places[kept]]
    tagged = distinct(tagged)
    return (tagged >> np.uint64(32)).astype(np.int64), tagged.astype(np.uint32)


def _codes(words: Keys, starts: Rows, attributes: Hashes) -> Hashes:
    """(N,) one number for the words, whatever their order, and the attributes."""
    sums = np.add.reduceat(_mixed(words.astype(np.uint64)), starts)
    return np.maximum(_mixed(sums ^ _mixed(attributes)), np.uint64(1))


def _word_keys(words: Keys, starts: Rows) -> Iterator[Keys]:
    """BANDS of (N,): the keys of the MinHash bands."""
    generator = np.random.default_rng(0)
    long = words.astype(np.uint64)
    for _ in range(BANDS):
        key = np.zeros(len(starts), np.uint32)
        for _ in range(HASHES_A_BAND):
            factor, shift = generator.integers(1, 2**63, 2, dtype=np.uint64)
            mixed = (long * (factor | np.uint64(1)) + shift) >> np.uint64(32)
            least = np.minimum.reduceat(mixed, starts).astype(np.uint32)
            key = key * np.uint32(1_000_003) + least
        yield key


def _mixed(values: Hashes) -> Hashes:
    """splitmix64 (Steele, Lea & Flood, 2014): every bit depends on every bit."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _starts(lengths: npt.NDArray[np.int64]) -> Rows:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths, dtype=np.int64)])
