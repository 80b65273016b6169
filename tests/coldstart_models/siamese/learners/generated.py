"""Rehearsals drawn from a known world: whose a listing is shows in its customers."""

import numpy as np
import torch
from torch import Tensor

from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.rehearsal import Rehearsal
from coldstart_models.siamese.learners.space import AXES

MODALITIES = 2
TASTE = 1.5
"""How far a listing's customers are from everybody, along one of four axes."""


def tastes(listings: int) -> Tensor:
    """(C, M, R): where the customers of each listing stand on average."""
    found = torch.zeros(listings, MODALITIES, AXES)
    for listing in range(listings):
        found[listing, 0, listing % 4] = TASTE if listing % 8 < 4 else -TASTE
    return found


def evidence_of(profiles: Tensor, owner: Tensor, *, listings: int, pace: Tensor) -> Evidence:
    """Of customers' ψ (P, M, R), each of the listing `owner` (P,); all of them known."""
    known = torch.bincount(owner, minlength=listings).float()
    number = known.clamp_min(1.0)[:, None, None]
    summed = torch.zeros(listings, MODALITIES, AXES).index_add(0, owner, profiles)
    squared = torch.zeros(listings, MODALITIES, AXES).index_add(0, owner, profiles.square())
    return Evidence(
        customers=known,
        known=known[:, None].expand(-1, MODALITIES).clone(),
        profile=summed / number,
        square=squared / number,
        content=torch.zeros(listings, MODALITIES, AXES),
        variance=torch.ones(MODALITIES, AXES),
        pace=torch.where(known > 1, pace, 0.0)[:, None].expand(-1, 2).clone(),
        relative_span=torch.where(known > 1, torch.exp(-pace), 1.0),
        crowd=torch.zeros(listings, MODALITIES),
        prior=torch.zeros(listings),
    )


def evidence(shots: int, *, seed: int = 0, listings: int = 24) -> Evidence:
    """`shots` customers of each listing; listing 0 sold slowest, the last one fastest."""
    generator = torch.Generator().manual_seed(seed)
    owner = torch.arange(listings).repeat_interleave(shots)
    noise = torch.randn(len(owner), MODALITIES, AXES, generator=generator)
    profiles = noise + tastes(listings)[owner]
    return evidence_of(profiles, owner, listings=listings, pace=torch.linspace(-2.0, 2.0, listings))


def rehearsal(shots: int, *, seed: int = 0, listings: int = 24, users: int = 80) -> Rehearsal:
    """Users choose by taste and by how fast a listing sells; the scorer knows neither."""
    generator = torch.Generator().manual_seed(seed + 1000)
    seen = evidence(shots, seed=seed, listings=listings)
    crowd = torch.randn(users, MODALITIES, AXES, generator=generator)
    attraction = crowd.flatten(1) @ tastes(listings).flatten(1).T
    attraction = attraction + torch.linspace(-2.0, 2.0, listings)
    best = attraction.topk(3, dim=1).indices
    chosen = torch.zeros(users, listings, dtype=torch.bool).scatter(1, best, True)
    scores = 0.5 * torch.randn(users, listings, generator=generator)
    return Rehearsal(shots, scores, crowd, np.arange(listings), seen, chosen, launches=True)
