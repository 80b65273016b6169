"""The committee: the mean of what several learners make of the same first customers.

Validation is a few dozen launches, whose luck is everybody's: how they came is a bias for all
people alike. Learners that it cannot tell from the best therefore all have a say (`contest`).
"""

from collections.abc import Iterable, Mapping
from typing import ClassVar, cast

import torch
from torch import nn

from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import FastWeights, Learner


class Committee(Learner):
    """The mean of the fast weights of its members."""

    name: ClassVar[str] = "committee"
    guarded: ClassVar[bool] = False

    def __init__(self, members: Mapping[str, Learner]) -> None:
        """Of members by their names."""
        super().__init__()
        self.members = nn.ModuleDict(members)

    @property
    def made_of(self) -> tuple[str, ...]:
        return tuple(self.members)

    def step(self, evidence: Evidence) -> FastWeights:
        members = cast("Iterable[Learner]", self.members.values())
        found = [member.adapt(evidence) for member in members]
        return FastWeights(
            torch.stack([each.vectors for each in found]).mean(dim=0),
            torch.stack([each.bias for each in found]).mean(dim=0),
        )
