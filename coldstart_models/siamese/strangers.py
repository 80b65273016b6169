"""How sure the score is that somebody sees of whom nothing is known.

It is the popularity p that content like the listing's has had: expected log(1 + customers). Of
problems of the past, whose listings were new then, one knows how it turned out: with x = p
standardised over the pool and t = log(1 + customers) less its mean there,

    t = b x + ε,   ε of deviation s,   b of deviation s / √(1 + Σ x²) about its least squares,

so a listing's error has a part that goes together, x times that of b, and one of its own, s. A
listing's first k customers tell of the latter: of a log rate whose deviation is s, k observed
events leave 1 / (1 / s² + k) of variance (both Gaussian approximations of a Gamma–Poisson).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from coldstart_models.data.catalogue import IntArray
from coldstart_models.siamese.personal import standardised

if TYPE_CHECKING:
    from coldstart_models.siamese.preparing import PreparedEpisode

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PopularitySpread:
    """The error of a content-predicted popularity, in units of log(1 + customers)."""

    slope: float = 0.5
    """Deviation of b."""
    own: float = 1.0
    """s. Both are wide before anything is learned."""

    def __post_init__(self) -> None:
        if not (self.slope >= 0 and self.own > 0):
            raise ValueError(f"deviations are {self.slope} and {self.own}, expected above 0")

    @classmethod
    def learned(cls, problems: Sequence["PreparedEpisode"]) -> "PopularitySpread":
        """From past problems without support; the wide one where they hold too few listings."""
        predicted, turned_out = [], []
        for one in problems:
            found = np.log1p(one.episode.popularity)
            predicted.append(standardised(one.prior.cpu()).numpy().astype(np.float64))
            turned_out.append(found - found.mean())
        count = sum(map(len, predicted)) - len(problems) - 1
        if count < 1:
            return cls()
        x, t = np.concatenate(predicted), np.concatenate(turned_out)
        information = 1.0 + float(x @ x)
        rest = t - x * float(x @ t) / information
        own = float(np.sqrt(max(float(rest @ rest) / count, 1e-6)))
        return cls(own / float(np.sqrt(information)), own)

    def deviations(self, away: Floats, support: IntArray) -> Floats:
        """(N,): the whole error, of popularities `away` (N,) deviations from the pool's mean."""
        return np.asarray(np.hypot(self.slope * away, self.own_deviations(support)))

    def own_deviations(self, support: IntArray) -> Floats:
        """(N,): each listing's own part, by how many first customers it has had."""
        return np.asarray(1.0 / np.sqrt(1.0 / self.own**2 + support))
