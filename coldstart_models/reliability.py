"""Whether what models say of their own sureness comes true, held against what people chose."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from scipy.special import logsumexp

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray
from coldstart_models.data.pools import COLD
from coldstart_models.siamese.own_errors import Turnout, found_variance

BINS: Final = 10
LEAST: Final = -100.0
"""log p of what is not ranked."""
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reliability:
    """A model's chances on a pool of cold items, pairs in bins of rising chance."""

    model: str
    pool: str
    shots: int
    """First customers of each listing that the model knew."""
    predicted: tuple[float, ...]
    """Mean chance of each bin's pairs that the person's next choice among the pool is this one."""
    observed: tuple[float, ...]
    """Mean share of the person's choices that were this one."""
    error: float
    """Σ |predicted − observed| over Σ predicted: 0 is calibrated, 2 is always wrong."""
    gain: float
    """Mean, over users, of log chance of a choice over that of blind drawing of what is ranked."""
    own_said: float
    """s²: the variance of a listing's own log rate that the model expected with these customers."""
    own_found: float
    """s² by how often each listing was chosen (`siamese.own_errors`)."""
    users: int
    """How many it is of; of a large pool every n-th."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "model": self.model,
            "pool": self.pool,
            "shots": self.shots,
            "predicted": list(self.predicted),
            "observed": list(self.observed),
            "calibration_error": self.error,
            "log_chance_gain": self.gain,
            "own_variance_said": self.own_said,
            "own_variance_found": self.own_found,
            "num_users": self.users,
        }


def among(log_chances: FloatMatrix, ranked: BoolArray) -> FloatMatrix:
    """(U, C) log p of the next choice among those that are ranked for a person (U, C); of the
    others it is that of a chance of nothing."""
    kept = np.where(ranked, log_chances, -np.inf)
    whole = logsumexp(kept, axis=1, keepdims=True)
    return np.asarray(np.maximum(kept - whole, LEAST), dtype=np.float32)


def reliability(
    model: str,
    log_chances: FloatMatrix,
    chosen: BoolArray,
    *,
    own_variance: float,
    ranked: BoolArray | None = None,
    pool: str = COLD,
    shots: int = 0,
) -> Reliability:
    """Compare chances with choices.

    Args:
        log_chances: (U, C) log p, each row a distribution over what is ranked for the person.
        chosen: (U, C), at least one True a row.
        own_variance: s² that is expected.
        ranked: (U, C) what is; all by default. Other pairs are in no bin.
        pool: of the candidates.
        shots: first customers that the chances know of.
    """
    there = np.ones(chosen.shape, bool) if ranked is None else ranked
    share = chosen / chosen.sum(axis=1, keepdims=True)
    chance = np.exp(log_chances.astype(np.float64))
    order = np.argsort(chance, axis=None, kind="stable")
    order = order[there.flat[order]]
    bins = np.array_split(order, min(BINS, len(order)))
    predicted = np.array([chance.flat[rows].mean() for rows in bins])
    observed = np.array([share.flat[rows].mean() for rows in bins])
    sizes = np.array([len(rows) for rows in bins])
    return Reliability(
        model,
        pool,
        shots,
        predicted=_rounded(predicted),
        observed=_rounded(observed),
        error=round(float((sizes * abs(predicted - observed)).sum() / (sizes @ predicted)), 4),
        gain=round(
            float((share * log_chances).sum(axis=1).mean() + np.log(there.sum(axis=1)).mean()), 4
        ),
        own_said=round(own_variance, 4),
        own_found=round(found_variance(Turnout.of(log_chances, chosen)), 4),
        users=len(chosen),
    )


@dataclass(frozen=True, slots=True)
class DemandReliability:
    """Whether the demand that strangers are ranked by came out within its deviations."""

    model: str
    within_one: float
    """Share of the new listings whose log(1 + customers), less its mean over them, is within one
    deviation of what was expected: .683 if errors are normal and as large as said."""
    within_two: float
    """The same of two deviations: .954."""
    items: int

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "model": self.model,
            "within_one_deviation": self.within_one,
            "within_two_deviations": self.within_two,
            "num_items": self.items,
        }


def demand_reliability(
    model: str, expected: Floats, deviation: Floats, customers: IntArray
) -> DemandReliability:
    """Compare expected log(1 + customers) (C,) with what came, both less their means over the pool.

    Args:
        deviation: (C,) of the expectation.
        customers: (C,) how many chose each listing.
    """
    found = np.log1p(customers)
    error = abs((found - found.mean()) - (expected - expected.mean()))
    one, two = (round(float((error <= times * deviation).mean()), 4) for times in (1.0, 2.0))
    return DemandReliability(model, one, two, len(customers))


def _rounded(values: npt.NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(round(float(value), 8) for value in values)
