"""What one shop teaches: its distinct contents, and who chose which of them in what order."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import BoolArray, Catalogue, Embeddings, FloatMatrix, IntArray
from coldstart_models.data.interactions import Interactions
from coldstart_models.errors import NotEnoughData
from coldstart_models.general.tower import PHOTO, TEXT

MOST_CONTENTS: Final = 10_000
"""Of a shop; the others, least often chosen, teach least."""
FEWEST_CONTENTS: Final = 100
"""A shop with fewer that go with another teaches nothing about what goes together."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """N contents of a shop and P pairs of a person and a content, by person and time.

    Listings that no encoder tells apart are one content.
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
    """The encoded modalities that some warm item has."""
    stored = {TEXT: catalogue.text, PHOTO: catalogue.image}
    return {name: one for name, one in stored.items() if (one.present & warm).any()}


def make_corpus(
    name: str, catalogue: Catalogue, interactions: Interactions, *, most: int = MOST_CONTENTS
) -> Corpus:
    """What a shop's log says of its contents.

    Raises NotEnoughData where fewer than FEWEST_CONTENTS were chosen beside another.
    """
    warm = interactions.item_users() > 0
    spaces = {
        modality: centred(stored, warm_mean(stored, warm))
        for modality, stored in modalities(catalogue, warm).items()
    }
    if not spaces:
        raise NotEnoughData(
            f"of the {len(catalogue)} listings of {name}, {int(warm.sum())} were chosen and none "
            "of those has an encoded text or photo; the general model learns from both"
        )
    content_of, first = _contents(spaces)
    content_of[~np.any([np.any(v != 0, axis=1) for v in spaces.values()], axis=0)] = -1
    user, content = _pairs(interactions, content_of)
    kept = _most_chosen(content, len(first), most)
    inside = kept[content]
    user, content = user[inside], content[inside]
    several = np.bincount(user, minlength=interactions.num_users) > 1
    user, content = user[several[user]], content[several[user]]
    used, content = np.unique(content, return_inverse=True)
    if len(used) < FEWEST_CONTENTS:
        raise NotEnoughData(
            f"{name} has {len(used)} different listings that somebody chose beside another; the "
            f"general model needs {FEWEST_CONTENTS} of a shop to learn from it"
        )
    _, user = np.unique(user, return_inverse=True)
    bounds = np.searchsorted(user, np.arange(int(user.max()) + 2))
    rows = first[used]
    return Corpus(
        name,
        {modality: values[rows] for modality, values in spaces.items()},
        user,
        content,
        bounds,
    )


def _contents(spaces: dict[str, FloatMatrix]) -> tuple[IntArray, IntArray]:
    """(num_items,) number of each listing's content, and a listing of each content."""
    joined = np.ascontiguousarray(np.hstack(list(spaces.values())))
    keys = joined.view(np.dtype((np.void, joined.dtype.itemsize * joined.shape[1]))).ravel()
    _, first, content_of = np.unique(keys, return_index=True, return_inverse=True)
    return content_of.astype(np.int64), first.astype(np.int64)


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


def _most_chosen(content: IntArray, count: int, most: int) -> BoolArray:
    """(count,) the contents that most people chose, at most so many."""
    chosen = np.bincount(content, minlength=count)
    kept = np.zeros(count, bool)
    kept[np.argsort(-chosen, kind="stable")[:most]] = True
    return kept & (chosen > 0)
