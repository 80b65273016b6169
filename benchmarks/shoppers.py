"""Who the generated shoppers are, as a log tells it to whoever knows everything but them.

A utility of `catalogs.marketplace.tastes` is linear in a shopper's traits, U = θ X + q, with a row
of X for every trait and a column for every listing. Whoever knew X, q and how traits are
distributed would infer θ from what a shopper did: here as the mode of

    log p(θ | log) = log N(θ; mean and covariance of the real people) + log p(log | θ)

by gradient ascent. Two things can be read of the log (`Reading`): the clicks alone, each a choice
among all listings of its side of the shop, or all that `marketplace.choices` draws: what the search
showed, what was clicked and what was passed over. In which order a visit's listings were clicked
is not logged, so each click is a choice against what was passed over.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import chain
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from benchmarks.shown_log import ShownLog
from coldstart_models.data.catalogue import FloatMatrix
from feature_repo.catalogs.marketplace.choices import BEHAVIOUR
from feature_repo.catalogs.marketplace.stock import Floats, Listing
from feature_repo.catalogs.marketplace.tastes import Shoppers, utilities

TRAITS: Final = ("style", "palette", "pattern", "material", "need", "thrift", "charm")
HIDDEN: Final = "charm"
VISITS_AT_ONCE: Final = 600
"""Bounds the visits × listings that are held at once."""
SURE: Final = -1e-4
"""Largest log chance of being shown: its complement has a logarithm."""
LARGEST: Final = 30.0
"""Of a utility above the outside option, before exp."""
RATES: Final = (*[0.1] * 80, *[0.025] * 30)
"""Of the steps of Adam."""


class Reading(StrEnum):
    """What of the log is read."""

    CLICKS = "the clicks"
    ALL = "the clicks, what was shown, and how the search chooses that"


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What is known of N listings and of how P traits are distributed."""

    design: Tensor
    """(P, N): X."""
    liked: Tensor
    """(N,): q."""
    mean: Tensor
    """(P,)"""
    root: Tensor
    """(P, P): θ = mean + z root, z standard normal."""

    @classmethod
    def of(cls, shoppers: Shoppers, stock: Sequence[Listing], *, hidden: bool) -> "Knowledge":
        """
        Args:
            hidden: whether what neither photo nor text shows is known too: the charm, and how much
                everybody likes a listing beyond what its brand leads to expect.
        """
        parts = [getattr(shoppers, name).reshape(len(shoppers.user_ids), -1) for name in TRAITS]
        of_trait = np.repeat(TRAITS, [part.shape[1] for part in parts])
        theta = np.hstack(parts)
        liked = utilities(_people(shoppers, np.zeros((1, len(of_trait))), of_trait), stock)[0]
        design = utilities(_people(shoppers, np.eye(len(of_trait)), of_trait), stock) - liked
        if not hidden:
            design[of_trait == HIDDEN] = 0.0
            brands = np.array([listing.brand for listing in stock])
            liked = pd.Series(liked).groupby(brands).transform("mean").to_numpy()
        variances, axes = np.linalg.eigh(np.cov(theta.T))
        root = (axes * np.sqrt(np.maximum(variances, 0.0))).T
        return cls(*(_tensor(each) for each in (design, liked, theta.mean(axis=0), root)))

    def utilities(self, drawn: Tensor) -> Tensor:
        """(U, N) of people with z (U, P)."""
        return (self.mean + drawn @ self.root) @ self.design + self.liked


def _people(like: Shoppers, theta: Floats, of_trait: npt.NDArray[np.str_]) -> Shoppers:
    """Others, with the traits (U, P)."""
    traits: dict[str, Any] = {name: theta[:, of_trait == name] for name in TRAITS}
    return replace(like, **traits | {"thrift": traits["thrift"][:, 0]})


def _tensor(array: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array, np.float32))


def inferred(log: ShownLog, known: Knowledge, *, users: int, reading: Reading) -> FloatMatrix:
    """(users, N) utilities of the people whom the log leads to expect."""
    drawn = torch.zeros(users, len(known.mean), requires_grad=True)
    steps = torch.optim.Adam([drawn])
    for rate in RATES:
        steps.param_groups[0]["lr"] = rate
        utility = known.utilities(drawn)
        slope = _slope(log, utility.detach().requires_grad_(), reading)
        (drawn.grad,) = torch.autograd.grad(utility, drawn, slope)
        drawn.grad += drawn.detach()  # of the distribution that z is drawn from
        steps.step()
    with torch.no_grad():
        return np.asarray(known.utilities(drawn).numpy(), np.float32)


def _slope(log: ShownLog, utility: Tensor, reading: Reading) -> Tensor:
    """(U, N) gradient of −log p of what is read by utilities."""
    if reading is Reading.CLICKS:
        parts: Iterable[Tensor] = [_clicked_of_all(log, utility)]
    else:
        parts = chain([_clicked_of_shown(log, utility)], _shown(log, utility))
    slope = torch.zeros_like(utility)
    for part in parts:
        slope -= torch.autograd.grad(part, utility)[0]
    return slope


def _sides(log: ShownLog, utility: Tensor) -> tuple[Tensor, Tensor]:
    """(U, n) and (U, N - n) of the listings that are not of the home department and that are."""
    return utility[:, ~log.of_home], utility[:, log.of_home]


def _clicked_of_all(log: ShownLog, utility: Tensor) -> Tensor:
    """log p of the clicks, each among all listings of its side."""
    totals = torch.stack([side.logsumexp(dim=1) for side in _sides(log, utility)], dim=1)
    visit, item = log.visit[log.clicked], log.item[log.clicked]
    user = log.user[visit]
    return (utility[user, item] - totals[user, log.home[visit].long()]).sum()


def _clicked_of_shown(log: ShownLog, utility: Tensor) -> Tensor:
    """log p of the clicks, each against what was passed over and the outside option."""
    options = torch.stack(
        [
            side.mean(dim=1) + BEHAVIOUR.outside * side.std(dim=1, correction=0)
            for side in _sides(log, utility)
        ],
        dim=1,
    )
    outside = options[log.user, log.home.long()][log.visit]
    above = utility[log.user[log.visit], log.item] - outside - BEHAVIOUR.satiation * log.seen
    passed = torch.where(log.clicked, torch.zeros(()), above.clamp_max(LARGEST).exp())
    against = torch.ones(len(log.user)).index_add(0, log.visit, passed).log()[log.visit]
    won = above[log.clicked]
    return (won - torch.logaddexp(won, against[log.clicked])).sum()


def _shown(log: ShownLog, utility: Tensor) -> Iterator[Tensor]:
    """log p of what was shown and of what was not, some visits at a time."""
    shown = torch.zeros(log.attraction.shape, dtype=torch.bool)
    shown[log.visit, log.item] = True
    for rows in torch.split(torch.arange(len(log.user)), VISITS_AT_ONCE):
        weights = log.attraction[rows] + BEHAVIOUR.search * utility[log.user[rows]]
        share = weights - weights.logsumexp(dim=1, keepdim=True)
        chance = (np.log(BEHAVIOUR.shown) + share).clamp_max(SURE)
        kept_back = log.offered[rows] & ~shown[rows]
        yield chance[shown[rows]].sum() + torch.log1p(-chance.exp())[kept_back].sum()
