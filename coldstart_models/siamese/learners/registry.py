"""The learners by name."""

import difflib
from collections.abc import Callable
from typing import Final

from coldstart_models.errors import ConfigError
from coldstart_models.siamese.learners.fold_in import BayesFoldIn
from coldstart_models.siamese.learners.learner import Learner
from coldstart_models.siamese.learners.maml import Anil, FirstOrderMaml
from coldstart_models.siamese.learners.plain import (
    FineTuning,
    FirstBuyerNeighbours,
    NoAdaptation,
    SmoothedRate,
)
from coldstart_models.siamese.learners.prototype import Prototype
from coldstart_models.siamese.learners.reptile import Reptile

AUTO: Final = "auto"
"""Whoever the contest keeps."""
LEARNERS: Final[dict[str, Callable[[int], Learner]]] = {
    NoAdaptation.name: lambda modalities: NoAdaptation(),
    FineTuning.name: lambda modalities: FineTuning(),
    SmoothedRate.name: lambda modalities: SmoothedRate(),
    FirstBuyerNeighbours.name: lambda modalities: FirstBuyerNeighbours(),
    Prototype.name: Prototype,
    FirstOrderMaml.name: FirstOrderMaml,
    Anil.name: Anil,
    Reptile.name: Reptile,
    BayesFoldIn.name: BayesFoldIn,
}
"""Name → how to build one for a number of modalities; of equals the first wins."""


def build_learner(name: str, *, modalities: int) -> Learner:
    """A fresh learner. Raises ConfigError with the nearest known name."""
    if name not in LEARNERS:
        close = difflib.get_close_matches(name, LEARNERS, n=1, cutoff=0.4)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise ConfigError(f"no learner is called {name!r}{hint} Known: {', '.join(LEARNERS)}")
    return LEARNERS[name](modalities)
