"""The contest: every learner learns on the same rehearsals; who ranks best on later ones wins."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from coldstart_models.siamese.learners.learner import Learner
from coldstart_models.siamese.learners.rehearsal import Rehearsal

DIGITS = 5


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
    """Who took part, how each did and who won."""

    winner: str
    without: dict[int, float]
    """First customers → NDCG@10 of the same people and listings without any support."""
    standings: tuple[Standing, ...]

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "winner": self.winner,
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
) -> tuple[Learner, Contest]:
    """Let learners learn in place; the one with the best mean over shots, and all results.

    Of equals the first wins. Raises ValueError without a learner or a validation rehearsal.
    """
    if not learners or not validation:
        raise ValueError("a contest needs a learner and a rehearsal to judge it by")
    for learner in learners:
        learner.learn(learning)
    standings = tuple(standing(learner, validation) for learner in learners)
    best = max(range(len(learners)), key=lambda place: (standings[place].mean, -place))
    without = _by_shots({each.shots: [] for each in validation}, validation, None)
    return copy.deepcopy(learners[best]), Contest(learners[best].name, without, standings)


@torch.inference_mode()
def standing(learner: Learner, validation: Sequence[Rehearsal]) -> Standing:
    """How a learner does with each number of first customers."""
    found = _by_shots({each.shots: [] for each in validation}, validation, learner)
    return Standing(learner.name, found)


def _by_shots(
    found: dict[int, list[float]], validation: Sequence[Rehearsal], learner: Learner | None
) -> dict[int, float]:
    """Mean NDCG@10 of the rehearsals with as many shots."""
    for each in validation:
        weights = None if learner is None else learner.adapt(each.evidence)
        found[each.shots].append(each.ndcg(weights))
    return {shots: float(np.mean(values)) for shots, values in sorted(found.items())}
