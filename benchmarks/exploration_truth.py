"""What a page is truly worth on the generated marketplace, and pages logged there.

The marketplace's click model (`feature_repo.catalogs.marketplace.choices`) gives of a page with
utilities a_i = U_ui − U_u0 above the outside option at most M clicks, of the listings with
a_i + G_i > G_0, all G standard Gumbel. Given G_0 = −ln(−ln q), each is among them with probability
1 − q^exp(a_i), independently; so the expected clicks are an integral over q in (0, 1) of the mean
of min(M, Poisson-binomial), here by Gauss and Legendre's rule. A policy's value is the mean over
people of Σ_i π(i) E[clicks of the kept listings and i]: no log, no estimate.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.exploration.evaluation import (
    Estimate,
    LoggedPages,
    effective_pages,
    evaluate,
    is_enough,
)
from coldstart_models.exploration.policy import Arms, Floats, Policy
from coldstart_models.exploration.propensity import draw_slots, page_chances
from coldstart_models.exploration.reward_model import (
    PageFeatures,
    arm_features,
    page_features,
    predict_rewards,
)
from feature_repo.catalogs.marketplace.choices import BEHAVIOUR

NODES: Final = 64
MANY_DRAWS: Final = 20_000
"""Of Thompson sampling, where its own probabilities are the truth."""


@dataclass(frozen=True, slots=True)
class Pages:
    """One page of each of U people, with one slot to explore."""

    arms: tuple[Arms, ...]
    """Of each person, as the scorer sees them."""
    kept: Floats
    """(U, k − 1) true utilities above the outside option of what keeps the page."""
    above: tuple[Floats, ...]
    """Of each person, the arms' true utilities above the outside option."""

    def __len__(self) -> int:
        return len(self.arms)


@dataclass(frozen=True, slots=True)
class Replication:
    """What one log said."""

    estimates: tuple[Estimate, Estimate, Estimate]
    effective_pages: float
    enough: bool
    """Whether SNIPS and DR were told sharply."""


def expected_clicks(above: Floats, *, most: int = BEHAVIOUR.most_clicks) -> Floats:
    """(…,) expected clicks of pages of k listings.

    Args:
        above: (…, k) utilities above the outside option.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    quantile = (nodes + 1.0) / 2.0
    chance = 1.0 - quantile ** np.exp(above)[..., None]  # (…, k, Q)
    counts = np.zeros((most, *above.shape[:-1], NODES))  # P(n listings so far), n < most
    counts[0] = 1.0
    for place in range(above.shape[-1]):
        one = chance[..., place, :]
        counts[1:] = counts[1:] * (1.0 - one) + counts[:-1] * one
        counts[0] *= 1.0 - one
    number = np.arange(most).reshape(-1, *[1] * above.ndim)
    mean = (number * counts).sum(axis=0) + most * (1.0 - counts.sum(axis=0))
    return np.asarray(mean @ weights / 2.0)


def draw_clicks(
    above: Floats, rng: np.random.Generator, *, most: int = BEHAVIOUR.most_clicks
) -> npt.NDArray[np.int64]:
    """(N,) clicks on N pages of k listings, drawn by the marketplace's model."""
    noisy = above + rng.gumbel(size=above.shape)
    outside = rng.gumbel(size=(len(above), 1))
    return np.asarray(np.minimum((noisy > outside).sum(axis=1), most))


def rewards(pages: Pages) -> list[Floats]:
    """Of each person, the (C,) expected clicks of the page with each arm on it."""
    return [
        expected_clicks(np.column_stack([np.tile(kept, (len(above), 1)), above]))
        for kept, above in zip(pages.kept, pages.above, strict=True)
    ]


def true_value(policy: Policy, pages: Pages, *, rng: np.random.Generator) -> float:
    """Mean expected clicks a page under a policy."""
    worth = rewards(pages)
    return float(
        np.mean(
            [
                page_chances(policy, arms, (0,), rng=rng)[0] @ clicks
                for arms, clicks in zip(pages.arms, worth, strict=True)
            ]
        )
    )


def replicate(
    logged: Policy,
    new: Policy,
    pages: Pages,
    *,
    people: int,
    visits: int,
    rng: np.random.Generator,
) -> Replication:
    """Log pages of people drawn at random, and estimate the new policy's value from them."""
    drawn_people = rng.integers(0, len(pages), people)
    person = np.repeat(np.arange(people), visits)
    count = len(person)
    propensity, target = np.empty((count, 1)), np.empty((count, 1))
    shown = np.empty((count, pages.kept.shape[1] + 1))
    known = {one: arm_features(pages.arms[one]) for one in set(drawn_people.tolist())}
    width = next(iter(known.values())).shape[1]
    features = PageFeatures(
        np.array([page_features(pages.arms[drawn_people[one]]) for one in person]),
        np.empty((count, 1, width)),
        np.empty((count, 1, width)),
    )
    for row, one in enumerate(drawn_people[person].tolist()):
        (drawn,) = draw_slots(logged, pages.arms[one], slots=1, rng=rng)
        chances = page_chances(new, pages.arms[one], (drawn.arm,), rng=rng)[0]
        propensity[row], target[row] = drawn.propensity, chances[drawn.arm]
        features.drawn[row, 0] = known[one][drawn.arm]
        features.expected[row, 0] = chances @ known[one]
        shown[row, :-1], shown[row, -1] = pages.kept[one], pages.above[one][drawn.arm]
    clicks = draw_clicks(shown, rng).astype(np.float64)
    log = LoggedPages(clicks, person, propensity, target)
    return Replication(
        evaluate(log, predict_rewards(features, clicks, person)),
        effective_pages(log),
        is_enough(log),
    )
