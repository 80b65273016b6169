"""LinUCB on the last layer: a listing is shown where it may at best be the best.

The slot goes to the arm with the highest upper bound y + α σ, with σ² = φᵀ Λ⁻¹ φ the variance that
the last layer's posterior leaves (Li et al., WWW 2010). The rule alone is deterministic, and a
deterministic log says nothing of other policies: so ε of the slots go to any open arm, which makes
the propensities (1 − ε + ε / #open) and ε / #open, in closed form.
"""

from dataclasses import dataclass

import numpy as np

from coldstart_models.errors import ConfigError
from coldstart_models.exploration.policy import Arms, Floats, check_floor


@dataclass(frozen=True, slots=True)
class LinUCB:
    """Optimism about unsure scores."""

    bonus: float = 1.0
    """α"""
    floor: float = 0.1
    """ε"""

    def __post_init__(self) -> None:
        check_floor(self.floor)
        if self.bonus < 0:
            raise ConfigError(f"the bonus of LinUCB is {self.bonus}, expected 0 or more")

    @property
    def policy_id(self) -> str:
        return f"linucb(bonus={self.bonus:g},floor={self.floor:g})"

    def utilities(self, arms: Arms, rng: np.random.Generator) -> Floats:
        return np.asarray(arms.scores + self.bonus * arms.deviations)[None, :]
