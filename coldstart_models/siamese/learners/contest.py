"""The contest: every learner learns on the same rehearsals, and is judged by later ones.

Who ranks best there is kept if validation tells it from the usual learner (`siamese.doubt`), which
is kept otherwise: validation is a few dozen launches, whose luck is a bias for everybody alike, and
of learners that are as good the luckiest would change with every training. So the doubt is of other
listings as well as of other people (docs/adr/0041).

Before it is judged, validation may halve or drop what a learner makes of the customers' profiles,
and likewise of how they came, and may leave a few customers unused: where it tells that the whole
ranks worse, by the same doubt. Who is kept then learns anew on all rehearsals, those of validation
with them: they are the newest, and the most like what comes.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, Final

import numpy as np
import torch

from coldstart_models.siamese.doubt import Outcome, near_best_of_lifts
from coldstart_models.siamese.learners.learner import FastWeights, Learner
from coldstart_models.siamese.learners.prototype import Prototype
from coldstart_models.siamese.learners.rehearsal import Rehearsal

DIGITS: Final = 5
SHARES: Final = tuple(sorted(product((1.0, 0.5, 0.0), repeat=2), key=sum, reverse=True))
"""What may be left of a learner's vectors and of its biases, the most of both first; of as much of
both, the most of the vectors.
"""
USUAL: Final = Prototype.name
"""Best or next to it on later launches of four dates of a shop, whoever had won (ADR 0030)."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One learner on the validation rehearsals."""

    name: str
    by_shots: dict[int, float]
    """First customers → NDCG@10 with them."""

    @property
    def mean(self) -> float:
        """Over shots."""
        return float(np.mean(list(self.by_shots.values())))


@dataclass(frozen=True, slots=True)
class Contest:
    """Who took part, how each did, who won and who is kept."""

    winner: str
    kept: str
    without: dict[int, float]
    """First customers → NDCG@10 of the same people and listings without any support."""
    standings: tuple[Standing, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "winner": self.winner,
            "kept": self.kept,
            "validation_ndcg@10": {
                "no support": {str(k): round(value, DIGITS) for k, value in self.without.items()},
                **{
                    one.name: {str(k): round(value, DIGITS) for k, value in one.by_shots.items()}
                    for one in self.standings
                },
            },
        }


def hold_contest(
    learners: Sequence[Learner],
    learning: Sequence[Rehearsal],
    validation: Sequence[Rehearsal],
    *,
    usual: str = USUAL,
) -> tuple[Learner, Contest]:
    """The learner that is kept, learned on all, and everybody's results.

    The best has the highest mean over shots; of equals it is the first. The learners themselves
    learn in place, on `learning` alone.

    Args:
        usual: who is kept where it takes part and cannot be told from the best.

    Raises ValueError without a learner or a validation rehearsal.
    """
    if not learners or not validation:
        raise ValueError("a contest needs a learner and a rehearsal to judge it by")
    untaught = [copy.deepcopy(learner) for learner in learners]
    without = without_support(validation)
    for learner in learners:
        learner.learn(learning)
        if learner.guarded:
            guard(learner, validation, without=without)
    reached = [_of_each(learner, validation) for learner in learners]
    standings = tuple(
        Standing(learner.name, _means(found))
        for learner, found in zip(learners, reached, strict=True)
    )
    best = max(range(len(learners)), key=lambda place: (standings[place].mean, -place))
    close = near_best_of_lifts([list(found.values()) for found in reached])
    names = [learner.name for learner in learners]
    place = names.index(usual) if usual in names and close[names.index(usual)] else best
    kept = untaught[place]
    learn_on_all(kept, [*learning, *validation], shares_of=learners[place])
    return kept, Contest(names[best], kept.name, _means(without), standings)


def learn_on_all(learner: Learner, rehearsals: Sequence[Rehearsal], *, shares_of: Learner) -> None:
    """Let an untaught learner learn, in place, and take over another one's shares."""
    learner.learn(rehearsals)
    for name in ("vector_share", "bias_share", "fewest"):
        getattr(learner, name).copy_(getattr(shares_of, name))


@torch.no_grad()
def guard(
    learner: Learner, validation: Sequence[Rehearsal], *, without: Mapping[int, Outcome]
) -> None:
    """Set, in place, what validation allows of a learner (`siamese.doubt`).

    The first of SHARES that is not told from the one that ranks best over all shots; and the
    fewest customers with whom it is not told to rank worse than without.

    Args:
        without: of `without_support`.
    """
    weights = [learner.step(each.evidence) for each in validation]
    reached = [
        _by_shots(validation, [found.shared(*shares) for found in weights]) for shares in SHARES
    ]
    place = near_best_of_lifts([list(one.values()) for one in reached]).index(True)
    vectors, biases = SHARES[place]
    learner.vector_share.fill_(vectors)
    learner.bias_share.fill_(biases)
    learner.fewest.zero_()
    for shots, found in reached[place].items():  # in rising order
        if near_best_of_lifts([[found], [without[shots]]])[0]:
            break
        learner.fewest.fill_(shots + 1)


def without_support(validation: Sequence[Rehearsal]) -> dict[int, Outcome]:
    """First customers → what the same people reach among the same listings without any support."""
    return _by_shots(validation, [None] * len(validation))


@torch.inference_mode()
def _of_each(learner: Learner, validation: Sequence[Rehearsal]) -> dict[int, Outcome]:
    return _by_shots(validation, [learner.adapt(each.evidence) for each in validation])


def _by_shots(
    validation: Sequence[Rehearsal], weights: Sequence[FastWeights | None]
) -> dict[int, Outcome]:
    """First customers → what the people of all rehearsals with as many reach, rising."""
    found: dict[int, list[Outcome]] = {}
    for each, own in zip(validation, weights, strict=True):
        found.setdefault(each.shots, []).append(each.outcome(own))
    return {shots: Outcome.joined(of_each) for shots, of_each in sorted(found.items())}


def _means(reached: Mapping[int, Outcome]) -> dict[int, float]:
    return {shots: outcome.mean for shots, outcome in reached.items()}
