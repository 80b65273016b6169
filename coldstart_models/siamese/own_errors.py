"""How far a listing's demand is off on its own: what content and first customers leave open.

Of people whose choices are known, m_u a person, n_c fell on listing c, and e_c = Σ_u m_u p_uc were
expected to by the chances p. Were these right, n_c would scatter as a Poisson number does; if every
listing's log rate is off by an error of its own, of variance s², it scatters more:

    E (n_c − e_c)² = e_c + v e_c²,   v = exp(s²) − 1,

so v = Σ_c ((n_c − e_c)² − e_c) / Σ_c e_c² (moments of extra-Poisson variation: Breslow, Applied
Statistics 33, 1984). First customers tell of it, so s² is asked for by how many they are, of
rehearsals with as many, and does not grow with them: of what sampling lets rise, neighbours take
their mean (isotonic regression). Between the numbers that were rehearsed it is linear in
log(1 + customers); beyond the last it stays.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from coldstart_models.data.catalogue import BoolArray, FloatMatrix, IntArray

Floats = npt.NDArray[np.float64]
CUSTOMERS: Final = (0, 1, 2, 3, 5, 10, 20)
"""First customers at which s² is kept."""
UNLEARNED: Final = 1.0
"""s² before anything is learned: a demand within a third and three times what is expected."""


@dataclass(frozen=True, slots=True)
class Turnout:
    """How often the listings of some problems were chosen, and how often that was expected."""

    chosen: Floats
    """(C,) n"""
    expected: Floats
    """(C,) e"""

    @classmethod
    def of(cls, log_chances: FloatMatrix, chosen: BoolArray) -> "Turnout":
        """From (U, C) log p of each next choice, and what was chosen (U, C)."""
        choices = chosen.sum(axis=1, dtype=np.float64)
        return cls(chosen.sum(axis=0, dtype=np.float64), choices @ np.exp(log_chances))


def own_variances(turnouts: Mapping[int, Iterable[Turnout]]) -> Floats:
    """s² at each of CUSTOMERS.

    Args:
        turnouts: first customers → problems whose listings had as many; where nothing is known,
            s² is that of the nearest numbers.
    """
    found, weights = [], []
    for customers in CUSTOMERS:
        several = list(turnouts.get(customers, ()))
        expected = np.concatenate([one.expected for one in several] or [np.zeros(0)])
        chosen = np.concatenate([one.chosen for one in several] or [np.zeros(0)])
        weight = float(expected @ expected)
        excess = float(((chosen - expected) ** 2 - expected).sum())
        found.append(max(excess / weight, 0.0) if weight > 0 else np.nan)
        weights.append(weight)
    known = np.isfinite(found)
    if not known.any():
        return np.full(len(CUSTOMERS), UNLEARNED)
    places = np.log1p(np.asarray(CUSTOMERS, np.float64))
    falling = isotonic_regression(
        np.asarray(found)[known], weights=np.asarray(weights)[known], increasing=False
    )
    return np.asarray(np.log1p(np.interp(places, places[known], falling.x)))


def at_customers(variances: Floats, customers: IntArray) -> Floats:
    """(N,) s² of listings with so many first customers (N,)."""
    return np.asarray(np.interp(np.log1p(customers), np.log1p(CUSTOMERS), variances))
