"""What one shop teaches: its distinct contents, and who chose which of them in what order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, Catalogue, Embeddings, FloatMatrix, IntArray
from coldstart_models.data.interactions import Interactions
from coldstart_models.errors import NotEnoughData
from coldstart_models.general.tower import PHOTO, TEXT

MOST_CONTENTS: Final = 6_000
"""Of a shop; the others, least often chosen, teach least."""
FEWEST_CONTENTS: Final = 100
"""A shop with fewer that go with another teaches nothing about what goes together."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """N contents of a shop and P pairs of a person and a content, by person and time.

    Listings that no encoder tells apart are one content, and one listing stands for it.
    """

    name: str
    values: dict[str, FloatMatrix]
    """Modality → (N, D_m) centred unit rows; zero where missing."""
    user: IntArray
    """(P,) ascending."""
    content: IntArray
    """(P,) of a user in the order of the first choice."""
    bounds: IntArray
    """(U + 1,): where each user's pairs begin."""

    @property
    def num_contents(self) -> int:
        return len(next(iter(self.values.values())))

    def present(self, name: str) -> BoolArray:
        """(N,)"""
        return np.asarray(np.any(self.values[name] != 0, axis=1))


def centred(stored: Embeddings, mean: npt.NDArray[np.float32]) -> FloatMatrix:
    """(N, D) what the tower reads: unit rows after the shop's mean is taken out."""
    vectors = np.asarray(stored.vectors - mean, np.float32)
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors = np.asarray(vectors / np.where(norms > 0, norms, 1.0), np.float32)
    vectors[~stored.present] = 0.0
    return vectors


def warm_mean(stored: Embeddings, warm: BoolArray) -> npt.NDArray[np.float32]:
    """(D,) of the warm items that have the modality; zero where none has."""
    known = stored.present & warm
    if not known.any():
        return np.zeros(stored.vectors.shape[1], np.float32)
    return np.asarray(stored.vectors[known].mean(axis=0), np.float32)


def modalities(catalogue: Catalogue, warm: BoolArray) -> dict[str, Embeddings]:
    """The encoded modalities that two warm items have at least: one alone is its own mean."""
    stored = {TEXT: catalogue.text, PHOTO: catalogue.image}
    return {name: one for name, one in stored.items() if (one.present & warm).sum() > 1}


def make_corpus(
    name: str, catalogue: Catalogue, interactions: Interactions, *, most: int = MOST_CONTENTS
) -> Corpus:
    """What a shop's log says of its contents.

    Raises NotEnoughData where fewer than FEWEST_CONTENTS were chosen beside another.
    """
    warm = interactions.item_users() > 0
    stored = modalities(catalogue, warm)
    if not stored:
        raise NotEnoughData(
            f"of the {len(catalogue)} listings of {name}, {int(warm.sum())} were chosen and none "
            "of those has an encoded text or photo; the general model learns from both"
        )
    content_of, first = _contents(list(stored.values()))
    users, contents = _pairs(interactions, content_of)
    chosen = np.bincount(contents, minlength=len(first))
    kept = np.argsort(-chosen, kind="stable")[:most]
    kept = kept[chosen[kept] > 0]
    rows = np.sort(first[kept])  # a catalogue's rows keep ascending ids
    place = np.full(len(first), -1, np.int64)
    place[content_of[rows]] = np.arange(len(rows))
    users, contents = users[place[contents] >= 0], place[contents[place[contents] >= 0]]
    several = np.bincount(users, minlength=interactions.num_users)[users] > 1
    users, contents = users[several], contents[several]
    if len(np.unique(contents)) < FEWEST_CONTENTS:
        raise NotEnoughData(
            f"{name} has {len(np.unique(contents))} different listings that somebody chose beside "
            f"another; the general model needs {FEWEST_CONTENTS} of a shop to learn from it"
        )
    _, users = np.unique(users, return_inverse=True)
    return Corpus(
        name,
        {modality: centred(one, warm_mean(one, warm))[rows] for modality, one in stored.items()},
        users,
        contents,
        np.searchsorted(users, np.arange(int(users.max()) + 2)),
    )


def _contents(stored: Sequence[Embeddings]) -> tuple[IntArray, IntArray]:
    """(num_items,) number of each listing's content, -1 without any; a listing of each content."""
    known = np.flatnonzero(np.any([one.present for one in stored], axis=0))
    joined = np.ascontiguousarray(np.hstack([one.vectors[known] for one in stored]))
    keys = joined.view(np.dtype((np.void, joined.dtype.itemsize * joined.shape[1]))).ravel()
    _, first, number = np.unique(keys, return_index=True, return_inverse=True)
    content_of = np.full(len(stored[0].present), -1, np.int64)
    content_of[known] = number
    return content_of, known[first]


def _pairs(interactions: Interactions, content_of: IntArray) -> tuple[IntArray, IntArray]:
    """Distinct pairs of a user and a content, by user, then by the time of the first choice."""
    contents = content_of[interactions.item_index]
    known = np.flatnonzero(contents >= 0)
    users, contents = interactions.user_index[known], contents[known]
    keys = users * (int(content_of.max(initial=0)) + 1) + contents
    _, earliest = np.unique(keys, return_index=True)
    earliest = np.sort(earliest)  # events are in order of time
    order = np.argsort(users[earliest], kind="stable")
    return users[earliest][order], contents[earliest][order]
