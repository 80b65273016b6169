"""How much an event of a history counts, chosen on past cold starts: the second thing learned.

An event counts by exp(v · traits − ρ log(1 + days)), and all alike at the start, where v and ρ are
zero. The steps of STEPS are tried one at a time. One is taken where validation tells that people
are ranked better by it, and the learning episodes tell it too (`doubt`): what a few past launches
prefer, as dear things or recent ones, the next ones often do not. Of several the best on validation
is taken; then those of the other weights are tried beside it, until none is told.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np
import torch

from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese.doubt import told_better

if TYPE_CHECKING:
    from coldstart_models.siamese.network import MetaSiamese
    from coldstart_models.siamese.preparing import PreparedEpisode
    from coldstart_models.siamese.scorer import SiameseScorer

RECENCY: Final = "recency"
HALF: Final = (-0.7, 0.7)
SIDES: Final = (-0.6, -0.2, 0.2, 0.6)
STEPS: Final = {
    RECENCY: (-0.2, 0.05, 0.1, 0.2, 0.4),
    "click": (*HALF, -2.0),
    "cart": HALF,
    "rating": HALF,
    "quantity": SIDES,
    "price": SIDES,
    "repeats": SIDES,
}
"""What is known of an event → what is added to its weight."""
Step = tuple[str, float]
"""What is known of an event, and what is added to its weight."""


def choose_event_weights(
    network: "MetaSiamese",
    learning: Sequence["PreparedEpisode"],
    validation: Sequence["PreparedEpisode"],
) -> dict[str, float]:
    """Set v and ρ, in place; returns the steps that were taken, by what is known of an event."""
    taken: dict[str, float] = {}
    if not learning or not validation:
        return taken
    steps = list(dict.fromkeys(step for each in validation for step in told_steps(each)))
    while True:
        left = [one for one in steps if one[0] not in taken]
        better = _better(network, left, validation)
        better = {one: better[one] for one in _better(network, list(better), learning)}
        if not better:
            return taken
        name, step = max(better, key=lambda one: better[one])
        taken[name] = step
        _add(network.scorer, name, step)


def _better(
    network: "MetaSiamese", steps: Sequence[Step], episodes: Sequence["PreparedEpisode"]
) -> dict[Step, float]:
    """The steps by which the episodes tell that people are ranked better, and NDCG@10 with each."""
    from coldstart_models.siamese.network import ndcg_by_episode

    found: dict[Step, float] = {}
    before = ndcg_by_episode(network, episodes) if steps else []
    for name, step in steps:
        with moved(network.scorer, name, step):
            after = ndcg_by_episode(network, episodes)
        if told_better(after, before):
            found[name, step] = float(np.mean([each.mean() for each in after]))
    return found


def told_steps(prepared: "PreparedEpisode") -> Iterator[Step]:
    """The steps of what somebody's events differ in: of days, and of traits."""
    from coldstart_models.siamese.preparing import history_batch

    events = history_batch(prepared.histories)
    known = torch.cat([events.age_days.floor()[:, :, None], events.traits], dim=2)
    highest, lowest = (
        known.masked_fill(~events.mask[:, :, None], bound) for bound in (-torch.inf, torch.inf)
    )
    differs = (highest.amax(dim=1) > lowest.amin(dim=1)).any(dim=0)
    told = dict(zip((RECENCY, *TRAITS), differs.tolist(), strict=True))
    for name, steps in STEPS.items():
        if told[name]:
            for step in steps:
                yield name, step


@contextmanager
def moved(scorer: "SiameseScorer", name: str, step: float) -> Iterator[None]:
    """While it lasts, the weight of what is known of an event is so much more."""
    recency, traits = scorer.recency.detach().clone(), scorer.trait_weights.detach().clone()
    _add(scorer, name, step)
    try:
        yield
    finally:
        with torch.no_grad():
            scorer.recency.copy_(recency)
            scorer.trait_weights.copy_(traits)


@torch.no_grad()
def _add(scorer: "SiameseScorer", name: str, step: float) -> None:
    if name == RECENCY:
        scorer.recency.add_(step)
    else:
        scorer.trait_weights[TRAITS.index(name)].add_(step)
