"""Episodes over categories: everything of one kind is new at once.

An episode over items asks who of a mixed cohort suits whom; one over a category asks it within a
kind that nobody has a history of, as when a shop takes up lamps. Kinds are the first level of the
category path; a catalogue without categories is cut into kinds by its texts.
"""

from typing import Final

import numpy as np
from sklearn.cluster import KMeans

from coldstart_models.data.catalogue import BoolArray, IntArray
from coldstart_models.data.episodes import MIN_COHORT, Episode, episode_of
from coldstart_models.data.interactions import END_OF_TIME
from coldstart_models.ranker import TrainingSet
from validation import tables

KINDS: Final = 12
"""Into which texts are cut where there are no categories."""


def category_episodes(
    training: TrainingSet,
    *,
    count: int,
    generator: np.random.Generator,
    among: BoolArray | None = None,
) -> list[Episode]:
    """Up to `count` episodes, each of another kind drawn at random; [] if all are too small.

    Args:
        among: (num_items,) items whose kinds are asked for; the rehearsable ones by default.
    """
    chosen = training.interactions.item_users() > 0
    asked = training.rehearsable if among is None else training.warm & among
    warm = np.flatnonzero(asked & chosen)
    kinds = _kinds(training, warm)
    names, sizes = np.unique(kinds[kinds >= 0], return_counts=True)
    large = names[(sizes >= MIN_COHORT) & (sizes <= len(warm) // 2)]
    episodes = []
    for kind in generator.permutation(large):
        episode = episode_of(training.interactions, END_OF_TIME, warm[kinds == kind])
        if episode is not None:
            episodes.append(episode)
        if len(episodes) == count:
            break
    return episodes


def _kinds(training: TrainingSet, items: IntArray) -> IntArray:
    """(len(items),): each one's kind as a number; -1 where nothing tells."""
    catalogue = training.catalogue
    levels = [
        tables.category_levels(path if isinstance(path, str) else None)[:1]
        for path in catalogue.frame[tables.CATEGORY].iloc[items]
    ]
    named = np.array([level[0] if level else "" for level in levels], dtype=object)
    if len(set(named) - {""}) > 1:
        numbers = np.unique(named.astype(str), return_inverse=True)[1]
        return np.asarray(np.where(named == "", -1, numbers), dtype=np.int64)
    kinds = np.full(len(items), -1, np.int64)
    for embeddings in (catalogue.text, catalogue.image):
        known = embeddings.present[items]
        if embeddings.vectors.shape[1] and known.sum() >= KINDS * MIN_COHORT:
            cut = KMeans(KINDS, n_init=1, random_state=0)
            kinds[known] = cut.fit_predict(embeddings.vectors[items[known]])
            return kinds
    return kinds
