"""Thompson sampling on the Bayesian last layer: a listing is shown as often as it may be the best.

Of the scorer's weights the posterior is normal (`siamese.certainty`). One draw of weights gives
one view of all arms, u = y + v·B z; the arm that is best in it gets the slot (Thompson, 1933;
Chapelle & Li, NeurIPS 2011; of a last layer, Riquelme et al., ICLR 2018). S draws are taken at
once, as one matrix product, and one of them by chance: the shares of the S draws are then the
probabilities that the slot is drawn with, not an estimate of them. As an estimate of the
probabilities under all possible draws they are off by √(p (1 − p) / S)
(`propensity.monte_carlo_error`).
"""

from dataclasses import dataclass

import numpy as np

from coldstart_models.errors import ConfigError
from coldstart_models.exploration.policy import Arms, Floats, check_floor


@dataclass(frozen=True, slots=True)
class Thompson:
    """Draws from the posterior of the last layer's weights."""

    draws: int = 256
    """S"""
    width: float = 1.0
    """v: how much of the deviation counts; 0 is greedy."""
    floor: float = 0.1
    """ε"""

    def __post_init__(self) -> None:
        check_floor(self.floor)
        if self.draws < 1:
            raise ConfigError(f"Thompson sampling takes {self.draws} draws, expected at least 1")
        if self.width < 0:
            raise ConfigError(f"the width of Thompson sampling is {self.width}, expected 0 or more")

    @property
    def policy_id(self) -> str:
        return f"thompson(draws={self.draws},width={self.width:g},floor={self.floor:g})"

    def utilities(self, arms: Arms, rng: np.random.Generator) -> Floats:
        drawn = rng.standard_normal((self.draws, arms.directions.shape[1]))
        return np.asarray(arms.scores + self.width * (drawn @ arms.directions.T))
