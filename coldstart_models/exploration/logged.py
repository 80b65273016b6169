"""The page log as off-policy evaluation reads it, for a policy that was not there."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from coldstart_models.errors import NotEnoughData
from coldstart_models.exploration.evaluation import (
    Estimate,
    LoggedPages,
    effective_pages,
    evaluate,
    on_policy,
)
from coldstart_models.exploration.exploring import seed_of
from coldstart_models.exploration.policy import Arms, Floats, Policy
from coldstart_models.exploration.propensity import page_chances
from coldstart_models.exploration.reward_model import (
    ARM_FEATURES,
    PageFeatures,
    arm_features,
    page_features,
    predict_rewards,
)
from feature_repo.page_log import ServedPage


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a policy would have earned a page, and what the logged ones did."""

    policy_id: str
    pages: int
    effective_pages: float
    """How many pages of the new policy the log is worth."""
    largest_weight: float
    logged: Estimate
    estimates: tuple[Estimate, ...]


def is_explored(page: ServedPage) -> bool:
    """Whether something was drawn for the page, and the log tells from what."""
    return bool(page.explored) and page.arm_scores is not None


def value_policy(
    policy: Policy, pages: Sequence[ServedPage], reward: Floats, units: Sequence[str]
) -> PolicyValue:
    """The policy's value, slots and arms being those of the explored pages.

    Args:
        reward: (N,) of each page.
        units: (N,) who saw it.

    Raises NotEnoughData where too little was explored.
    """
    if not pages:
        raise NotEnoughData(
            "no explored page is old enough to have its outcomes; set `[explore] policy` and serve"
        )
    slots = max(len(page.explored) for page in pages)
    propensity, target = np.ones((len(pages), slots)), np.ones((len(pages), slots))
    drawn, expected = (np.zeros((len(pages), slots, ARM_FEATURES)) for _ in range(2))
    context = []
    for row, page in enumerate(pages):
        if page.arm_scores is None or page.arm_directions is None:
            raise ValueError(f"page {page.page_id} was not explored")
        arms = Arms(page.arm_scores, page.arm_directions)
        rng = np.random.default_rng(seed_of(f"{policy.policy_id}/{page.page_id}"))
        chances = page_chances(policy, arms, page.drawn, rng=rng)
        count, chosen = len(page.drawn), list(page.drawn)
        propensity[row, :count] = [page.propensities[place - 1] for place in page.explored]
        target[row, :count] = chances[np.arange(count), chosen]
        known = arm_features(arms)
        drawn[row, :count], expected[row, :count] = known[chosen], chances @ known
        context.append(page_features(arms))
    _, person = np.unique(np.asarray(units, dtype=str), return_inverse=True)
    logged = LoggedPages(reward, person, propensity, target)
    observed = on_policy(logged)
    features = PageFeatures(np.array(context), drawn, expected)
    return PolicyValue(
        policy_id=policy.policy_id,
        pages=len(pages),
        effective_pages=effective_pages(logged),
        largest_weight=float(logged.weights[:, -1].max()),
        logged=observed,
        estimates=evaluate(logged, predict_rewards(features, reward, person)),
    )
