"""What a policy of exploration is: it turns unsure scores into orders that might be the right one.

A page keeps its best listings and gives a few slots away. A policy says how a slot goes to one of
C new listings (*arms*), whose scores y are known up to a normal error: y + B z with z standard
normal and B = Φ Λ^(-½), so that B's row norms are the deviations that listings share by
`siamese.certainty` and B Bᵀ is how the arms' errors go together. It answers with S vectors of
utilities. One of them is taken by chance, and the slot goes to its best open arm; with probability
ε it goes to any open arm:

    p_i = (1 − ε) · #{s : i = argmax_{j open} u_sj} / S + ε / #open.

This *is* the distribution that the arm is drawn from, so the logged propensity is exact for what
was drawn, also where the utilities themselves are draws (`exploration.propensity`).
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from coldstart_models.errors import ConfigError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Arms:
    """C listings that a slot may go to."""

    scores: Floats
    """(C,) y, in the score's units."""
    directions: Floats
    """(C, D) B: what a standard normal vector does to the scores."""

    def __post_init__(self) -> None:
        if self.directions.ndim != 2 or len(self.directions) != len(self.scores):
            raise ValueError(
                f"directions have the shape {self.directions.shape}, "
                f"expected ({len(self.scores)}, D) for {len(self.scores)} scores"
            )

    def __len__(self) -> int:
        return len(self.scores)

    @property
    def deviations(self) -> Floats:
        """(C,) σ, in the score's units."""
        return np.asarray(np.linalg.norm(self.directions, axis=1))

    def spread(self, own: Floats) -> "Arms":
        """With an error of each arm's own, of deviation (C,), beside what they share."""
        return Arms(self.scores, np.hstack([self.directions, np.diag(own)]))

    def take(self, columns: npt.NDArray[np.int64]) -> "Arms":
        """Some of the arms, in the given order."""
        return Arms(self.scores[columns], self.directions[columns])


class Policy(Protocol):
    """How unsure scores become utilities."""

    @property
    def floor(self) -> float:
        """ε: how often a slot goes to any open arm, alike."""

    @property
    def policy_id(self) -> str:
        """Name and settings, as the log keeps them."""

    def utilities(self, arms: Arms, rng: np.random.Generator) -> Floats:
        """(S, C): S equally likely views of what the arms are worth."""


@dataclass(frozen=True, slots=True)
class Greedy:
    """The best score, without a bonus: what exploration is compared with."""

    floor: float = 0.0

    def __post_init__(self) -> None:
        check_floor(self.floor)

    @property
    def policy_id(self) -> str:
        return f"greedy(floor={self.floor:g})"

    def utilities(self, arms: Arms, rng: np.random.Generator) -> Floats:
        return arms.scores[None, :]


def check_floor(floor: float) -> None:
    """Raise ConfigError for an ε that is no probability."""
    if not 0.0 <= floor <= 1.0:
        raise ConfigError(f"the floor of a policy is {floor}, expected 0 (never) to 1 (always)")
