"""How much each term of a score weighs by how much a shop has seen, learned across shops.

With n events per warm item, a term t of the Siamese scorer starts a shop's training at

    w_t(n) = a_t + b_t · n / (n + κ)

so that what a shop fits on its own log counts for less where the log says little, and what other
shops taught for more. a, b and κ are learned on cold-start problems of every shop at several
shares of its events, by the scorer's own listwise loss, with decay towards the scorer's usual
start (a) and zero (b). The general term of a shop is of a tower that did not learn from it.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from coldstart_models.siamese.scorer import SiameseScorer

SHARES: Final = (1.0, 0.3, 0.1, 0.03)
INITIAL_HALF: Final = 3.0
"""κ: events per item at which a term has half of its slope."""
STEPS: Final = 300
RATE: Final = 0.02
DECAY: Final = 3e-3
PRIOR: Final = "prior"


@dataclass(frozen=True, slots=True)
class Weighting:
    """What `SiameseScorer` weighs its terms by, before a shop has trained it."""

    start: dict[str, float]
    """``modality kind`` of a term, or ``prior`` → a."""
    slope: dict[str, float]
    """The same → b."""
    half: float
    """κ"""

    def at(self, events_per_item: float) -> dict[str, float]:
        """Term → w(n)."""
        share = events_per_item / (events_per_item + self.half)
        return {name: value + self.slope[name] * share for name, value in self.start.items()}

    def start_scorer(self, scorer: SiameseScorer, *, events_per_item: float) -> None:
        """Set the weights of the terms that this knows, in place; the others stay."""
        weights = self.at(events_per_item)
        with torch.no_grad():
            for place, term in enumerate(term_names(scorer)):
                if term in weights:
                    scorer.term_weights[place] = weights[term]
            if PRIOR in weights:
                scorer.prior_weight.fill_(weights[PRIOR])


def term_names(scorer: SiameseScorer) -> list[str]:
    """``modality kind`` of each term."""
    return [f"{name} {kind}" for name, kind in scorer.terms]


@dataclass(frozen=True, slots=True)
class WeighedProblem:
    """One cold-start problem of a shop, its terms computed. U users, C candidates, T terms."""

    shop: str
    events_per_item: float
    terms: tuple[str, ...]
    features: Tensor
    """(U, C, T + 1): standardised terms, then the prior."""
    chosen: Tensor
    """(U, C) bool"""
    log_popularity: Tensor
    """(C,)"""


def learn_weighting(
    problems: Sequence[WeighedProblem],
    usual: Mapping[str, float],
    *,
    scale: float,
    seed: int,
    loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor],
    steps: int = STEPS,
) -> Weighting:
    """Fit a, b and κ on the problems, shops in turn.

    Args:
        usual: term → the weight that scoring starts at without this.
        scale: γ of the loss.
        loss: of (scores, chosen, log popularity, γ).
    """
    names = list(usual)
    first = torch.tensor([usual[name] for name in names])
    start = nn.Parameter(first.clone())
    slope = nn.Parameter(torch.zeros(len(names)))
    log_half = nn.Parameter(torch.tensor(INITIAL_HALF).log())
    optimizer = torch.optim.Adam([start, slope, log_half], lr=RATE)
    generator = np.random.default_rng([seed, 11])
    shops = list(dict.fromkeys(problem.shop for problem in problems))
    of_shop = {shop: [one for one in problems if one.shop == shop] for shop in shops}
    gamma = torch.tensor(scale)
    for step in range(steps):
        total = torch.zeros(())
        for shop in shops:
            problem = of_shop[shop][int(generator.integers(len(of_shop[shop])))]
            share = problem.events_per_item / (problem.events_per_item + log_half.exp())
            places = torch.tensor([names.index(term) for term in (*problem.terms, PRIOR)])
            weights = (start + slope * share)[places]
            scores = problem.features @ weights
            total = total + loss(scores, problem.chosen, problem.log_popularity, gamma)
        pull = (start - first).square().sum() + slope.square().sum()
        optimizer.zero_grad()
        (total / len(shops) + DECAY * pull).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step == (2 * steps) // 3:
            for group in optimizer.param_groups:
                group["lr"] = RATE / 5
    return Weighting(
        {name: float(value) for name, value in zip(names, start.detach(), strict=True)},
        {name: float(value) for name, value in zip(names, slope.detach(), strict=True)},
        float(log_half.detach().exp()),
    )
