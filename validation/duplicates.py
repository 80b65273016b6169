"""Listings that are the same piece twice: by their words, and by their photos.

A batch is compared with itself and with the accepted catalogue. Rows with equal content are
found at once; near copies share one of a few keys, so that the cost grows with the pairs that
are alike and not with the square of the rows.

Sources: MinHash (Broder, 1997) in bands (Leskovec, Rajaraman & Ullman, Mining of Massive
Datasets, ch. 3).
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from validation import tables

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
furniture shop, 95 % of copies saved again at quality 40 are found and 99 % of those at half the
size; 6 % of the photos have a neighbour, most of them an identical one."""
COMMON: Final = 50
"""Different contents that share a key, above which the key is passed over."""

Wording = tuple[frozenset[str], str]
"""A listing's distinct words, and its attributes as JSON."""
Keys = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Twins:
    """For each of N rows the other listing of the same content."""

    twin: pd.Series
    """(N,) its id, or None."""
    sharing: pd.Series
    """(N,) listings with exactly this content, the row's own among them; 0 without content."""


def text_twins(texts: pd.DataFrame, ids: pd.Series, *, known: pd.DataFrame) -> Twins:
    """Listings with the same words and the same attributes: variants differ in these.

    Args:
        texts: (N,) `text`, title and description together, null where there is none, and
            `attributes`.
        ids: (N,) the listings' ids.
        known: `item_id`, `text` and `attributes` of the accepted catalogue.
    """
    others = known[~known[tables.ITEM_ID].isin(ids)]
    contents = [
        _wording(text, attributes)
        for frame in (texts, others)
        for text, attributes in zip(frame[TEXT], frame[tables.ATTRIBUTES], strict=True)
    ]
    return _twins(contents, texts.index, [*ids, *others[tables.ITEM_ID]], _word_keys, _read_same)


def photo_twins(fingerprints: pd.Series, ids: pd.Series, *, known: pd.DataFrame) -> Twins:
    """Listings with the same picture.

    Args:
        fingerprints: (N,) of `photos.fingerprint`; null without a usable photo.
        ids: (N,) the listings' ids.
        known: `item_id` and `fingerprint` of the accepted catalogue.
    """
    others = known[~known[tables.ITEM_ID].isin(ids)]
    prints = [
        None if pd.isna(value) else int(value) for value in (*fingerprints, *others[FINGERPRINT])
    ]
    owners = [*ids, *others[tables.ITEM_ID]]
    return _twins(prints, fingerprints.index, owners, _photo_keys, _look_same)


def _twins(
    contents: Sequence[Any],
    index: pd.Index,
    owners: Sequence[object],
    keys_of: Callable[[Sequence[Any]], Keys],
    alike: Callable[[Any, Any], bool],
) -> Twins:
    """Twins of the first len(index) contents among all of them; `owners` are their ids."""
    has = np.array([content is not None for content in contents], dtype=bool)
    places = np.flatnonzero(has).tolist()
    codes_of: dict[Any, int] = {}
    codes = np.array([codes_of.setdefault(contents[at], len(codes_of)) for at in places], np.int64)
    holders = pd.DataFrame({"code": codes, "owner": [owners[at] for at in places]})
    holders = holders.drop_duplicates()
    sharing = holders.groupby("code").size().reindex(range(len(codes_of)), fill_value=0)
    first = holders.drop_duplicates("code").set_index("code")["owner"]
    second = holders[holders.duplicated("code")].drop_duplicates("code").set_index("code")["owner"]
    held, one, another = sharing.to_dict(), first.to_dict(), second.to_dict()
    ours = codes[: np.searchsorted(places, len(index))].tolist()
    alone = {code for code in ours if held[code] == 1}
    near = _partners(list(codes_of), keys_of, alike, wanted=alone)
    found: list[object] = [None] * len(index)
    counts = np.zeros(len(index), np.int64)
    for at, code in zip(places, ours, strict=False):
        counts[at] = held[code]
        if held[code] > 1:
            found[at] = one[code] if one[code] != owners[at] else another[code]
        elif code in near:
            found[at] = one[near[code]]
    return Twins(pd.Series(found, index=index, dtype=object), pd.Series(counts, index=index))


def _partners(
    contents: Sequence[Any],
    keys_of: Callable[[Sequence[Any]], Keys],
    alike: Callable[[Any, Any], bool],
    *,
    wanted: set[int],
) -> dict[int, int]:
    """Content → the first other content like it, of those that some key brings together."""
    if len(contents) < 2:
        return {}
    partners: dict[int, int] = {}
    for band in keys_of(contents).T:
        frame = pd.DataFrame({"key": band, "code": np.arange(len(contents))})
        frame = frame[frame["key"].isin(band[list(wanted)])]
        size = frame.groupby("key")["code"].transform("size")
        frame = frame[(size > 1) & (size <= COMMON)]
        for _, bucket in frame.groupby("key")["code"]:
            members = bucket.tolist()
            for one in members:
                if one not in wanted:
                    continue
                for other in members:
                    known = partners.get(one, len(contents))
                    if other != one and other < known and alike(contents[one], contents[other]):
                        partners[one] = other
                        break
    return partners


def _wording(text: object, attributes: object) -> Wording | None:
    if not isinstance(text, str):
        return None
    words = frozenset(re.findall(r"\w+", text.casefold()))
    if len(words) < FEWEST_WORDS:
        return None
    return words, attributes if isinstance(attributes, str) else ""


def _read_same(one: Wording, other: Wording) -> bool:
    (words, attributes), (others, their_attributes) = one, other
    same = len(words & others) >= SAME_WORDS * len(words | others)
    return same and attributes == their_attributes


def _word_keys(wordings: Sequence[Wording]) -> Keys:
    """(C, BANDS) keys of MinHash bands."""
    contents = [words for words, _ in wordings]
    hashed = pd.util.hash_array(np.array([w for words in contents for w in words], dtype=object))
    starts = np.cumsum([0, *(len(words) for words in contents)])[:-1]
    generator = np.random.default_rng(0)
    keys = np.zeros((len(contents), BANDS), np.uint64)
    for band in range(BANDS):
        for _ in range(HASHES_A_BAND):
            factor, shift = generator.integers(1, 2**63, 2, dtype=np.uint64)
            mixed = (hashed * (factor | np.uint64(1)) + shift) >> np.uint64(16)
            least = np.minimum.reduceat(mixed, starts)
            keys[:, band] = keys[:, band] * np.uint64(1_000_003) + least
    return keys


def _look_same(one: int, other: int) -> bool:
    return (one ^ other).bit_count() <= NEAR_BITS


def _photo_keys(contents: Sequence[int]) -> Keys:
    """(C, 4): the quarters of the hash; two that differ in up to three bits share one."""
    prints = np.array(contents, dtype=np.uint64)
    quarters = [(prints >> np.uint64(shift)) & np.uint64(0xFFFF) for shift in (0, 16, 32, 48)]
    return np.stack(quarters, axis=1)
