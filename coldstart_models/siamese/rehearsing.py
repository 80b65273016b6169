"""Making rehearsals: what learners learn on and are judged by, from episodes with support."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import torch

from coldstart_models.data.episodes import MIN_PEOPLE, Episode, with_support
from coldstart_models.data.interactions import Interactions
from coldstart_models.freed_memory import give_back
from coldstart_models.siamese.learners.rehearsal import Rehearsal
from coldstart_models.siamese.network import MetaSiamese, score_task
from coldstart_models.siamese.preparing import PreparedEpisode

SHOTS: Final = (1, 2, 3, 5, 10, 20)
"""Numbers of first customers that are rehearsed."""
CATEGORY_SHOTS: Final = (1, 3, 10)
"""The same in episodes over categories."""
CATEGORIES: Final = 2
"""Episodes over categories."""


def with_shots(
    episodes: Sequence[Episode],
    interactions: Interactions,
    generator: np.random.Generator,
    *,
    numbers: Sequence[int] = SHOTS,
) -> Iterator[Episode]:
    """Every episode with each number of first customers that its listings reach, one at a time;
    not where fewer than MIN_PEOPLE people are left to rank for.

    The histories of many first customers are large: one that is dropped is gone before the next.
    """
    for episode in episodes:
        for shots in numbers:
            drawn = with_support(episode, interactions, shots=shots, generator=generator)
            if drawn is not None and len(drawn.chosen) >= MIN_PEOPLE:
                yield drawn
            del drawn


@torch.no_grad()
def rehearse(network: MetaSiamese, prepared: PreparedEpisode, *, launches: bool) -> Rehearsal:
    """What the scorer says without what support adds, and what support there is.

    Args:
        launches: as in `Rehearsal`.

    Raises ValueError for an episode without support.
    """
    support = prepared.episode.task.support
    view = network.view(prepared, prepared.histories)
    if support is None or view.evidence is None or view.space is None:
        raise ValueError("an episode without support is no rehearsal")
    bare = replace(prepared.episode, task=replace(prepared.episode.task, support=None))
    users = network.users(view, prepared.histories)
    scores = torch.from_numpy(score_task(network, replace(prepared, episode=bare)))
    if (term := network.date_term) is not None:  # of a season less is left beside support
        scores += term(prepared.dates, view.evidence.customers) - term(prepared.dates)
    return Rehearsal(
        shots=int(np.bincount(support.item_index).max()),
        scores=scores,
        users=view.space.of_users(users),
        listings=prepared.episode.task.candidates,
        evidence=view.evidence if launches else view.evidence.without_timing(),
        chosen=torch.from_numpy(prepared.episode.chosen),
        launches=launches,
    )


def rehearse_all(
    network: MetaSiamese, prepared: Iterable[PreparedEpisode], *, launches: bool
) -> list[Rehearsal]:
    """Rehearse each and drop it before the next is asked for; arguments as in `rehearse`."""
    found = []
    for one in prepared:
        found.append(rehearse(network, one, launches=launches))
        del one
    give_back()
    return found
