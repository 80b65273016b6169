"""How far a listing's demand is off on its own: what content and first customers leave open.

Of people whose choices are known, m_u a person, n_c fell on listing c, and e_c = Σ_u m_u p_uc were
expected to by the chances p. Were these right, n_c would scatter by V_c = Σ_u m_u p_uc (1 − p_uc);
if every listing's log rate is off by an error of its own, of variance s², it scatters more. An
error moves e_c by V_c times as much, so that

    E (n_c − e_c)² = V_c + v V_c²,   v = exp(s²) − 1,

and v = Σ_c ((n_c − e_c)² − V_c) / Σ_c V_c² (moments of extra-Poisson variation: Breslow, Applied
Statistics 33, 1984; with the variance of a choice among several). First customers tell of it, so
s² is asked for by how many they are, of rehearsals with as many, and does not grow with them: of
what sampling lets rise, neighbours take their mean (isotonic regression). Between the numbers that
were rehearsed it is linear in log(1 + customers); beyond the last it stays.
"""

from collections.abc import Mapping, Sequence
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
    variance: Floats
    """(C,) V: of the number of choices if the chances are right."""

    @classmethod
    def of(cls, log_chances: FloatMatrix, chosen: BoolArray) -> "Turnout":
        """From (U, C) log p of each next choice, and what was chosen (U, C)."""
        choices, chances = chosen.sum(axis=1, dtype=np.float64), np.exp(log_chances)
        return cls(
            chosen=chosen.sum(axis=0, dtype=np.float64),
            expected=choices @ chances,
            variance=choices @ (chances * (1.0 - chances)),
        )


def own_variances(turnouts: Mapping[int, Sequence[Turnout]]) -> Floats:
    """s² at each of CUSTOMERS.

    Args:
        turnouts: first customers → problems whose listings had as many; where nothing is known,
            s² is that of the nearest numbers.
    """
    known, found, weights = [], [], []
    for customers, several in sorted(turnouts.items()):
        excess = sum(float(((t.chosen - t.expected) ** 2 - t.variance).sum()) for t in several)
        weight = sum(float(t.variance @ t.variance) for t in several)
        if weight > 0:
            known.append(customers)
            found.append(max(excess / weight, 0.0))
            weights.append(weight)
    if not known:
        return np.full(len(CUSTOMERS), UNLEARNED)
    falling = isotonic_regression(found, weights=weights, increasing=False).x
    return np.asarray(np.log1p(np.interp(np.log1p(CUSTOMERS), np.log1p(known), falling)))


def found_variance(turnout: Turnout) -> float:
    """s² of one problem's listings."""
    return float(own_variances({0: [turnout]})[0])


def at_customers(variances: Floats, customers: IntArray) -> Floats:
    """(N,) s² of listings with so many first customers (N,)."""
    return np.asarray(np.interp(np.log1p(customers), np.log1p(CUSTOMERS), variances))
