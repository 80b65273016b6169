"""The outer loop of the learners that descend: what is shared across listings.

The loss is the listwise softmax of a user's choices over a rehearsal's whole pool,

    L = − 1/|P| Σ_{c ∈ P} log softmax(γ y'(u, ·))_c

with γ a learned scale. Unlike the scorer's loss it knows nothing of how popular a listing became:
that is what a bias is to tell. Weights that may not be below zero are put back to it after each
step, so that they can leave it again. Where a learner needs the gradient of its inner loop it takes
it as a constant, so this descent is first-order.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import torch
from torch import nn

if TYPE_CHECKING:
    from coldstart_models.siamese.learners.learner import Learner
    from coldstart_models.siamese.learners.rehearsal import Rehearsal

STEPS: Final = 300
RATE: Final = 0.05
USERS: Final = 256
INITIAL_SCALE: Final = 0.3


def descend(learner: "Learner", rehearsals: Sequence["Rehearsal"]) -> None:
    """Adam on the loss, one rehearsal after the other, in place; without any, nothing happens.

    Kept is the average over the second half (Polyak & Juditsky, 1992): rehearsals are few and
    differ, and the last one would have the last word.
    """
    parameters = list(learner.parameters())
    if not rehearsals or not parameters:
        return
    log_scale = nn.Parameter(torch.tensor(INITIAL_SCALE).log())
    optimizer = torch.optim.Adam([*parameters, log_scale], lr=RATE)
    generator = torch.Generator().manual_seed(0)
    averages = [torch.zeros_like(parameter) for parameter in parameters]
    for step in range(STEPS):
        rehearsal = rehearsals[step % len(rehearsals)]
        rows = torch.randperm(len(rehearsal.users), generator=generator)[:USERS]
        optimizer.zero_grad()
        loss = query_loss(learner, rehearsal, rows, log_scale.exp()) + learner.penalty()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        with torch.no_grad():
            for floored in learner.floored():
                floored.clamp_(min=0.0)
            if step >= STEPS // 2:
                for average, parameter in zip(averages, parameters, strict=True):
                    average.add_(parameter / (STEPS - STEPS // 2))
    with torch.no_grad():
        for average, parameter in zip(averages, parameters, strict=True):
            parameter.copy_(average)


def query_loss(
    learner: "Learner", rehearsal: "Rehearsal", rows: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """The loss of some of a rehearsal's users, a scalar."""
    effect = learner.adapt(rehearsal.evidence).effect(rehearsal.users[rows])
    shares = torch.log_softmax(scale * (rehearsal.scores[rows] + effect), dim=1)
    chosen = rehearsal.chosen[rows]
    picked = torch.where(chosen, shares, torch.zeros_like(shares)).sum(dim=1)
    return -(picked / chosen.sum(dim=1)).mean()
