"""The page log as off-policy evaluation reads it, for a policy that was not there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from coldstart_models.errors import NotEnoughData
from coldstart_models.exploration.evaluation import (
    Estimate,
    LoggedPages,
    effective_pages,
    evaluate,
    is_enough,
    mean_weight,
    on_policy,
)
from coldstart_models.exploration.exploring import seed_of
from coldstart_models.exploration.policy import Arms, Floats, Policy
from coldstart_models.exploration.propensity import page_chances
from coldstart_models.exploration.reward_model import (
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
    mean_weight: Estimate
    """Whose truth is 1."""
    enough: bool
    """Whether the log is enough for SNIPS and DR to be told sharply."""
    logged: Estimate
    estimates: tuple[Estimate, ...]


def is_explored(page: ServedPage) -> bool:
    """Whether something was drawn for the page, and the log tells from what."""
    return bool(page.explored) and page.arm_scores is not None


def value_policy(
    policy: Policy, pages: Iterable[ServedPage], reward: Mapping[str, float]
) -> PolicyValue:
    """The policy's value, slots and arms being those of the explored pages.

    Args:
        pages: read once, one after the other; those where nothing was drawn are passed over.
        reward: of each page, by its id; pages without one are passed over.

    Raises NotEnoughData where too little was explored.
    """
    rows = [
        _row(policy, page, reward[page.page_id])
        for page in pages
        if is_explored(page) and page.page_id in reward
    ]
    if not rows:
        raise NotEnoughData(
            "no explored page is old enough to have its outcomes; set `[explore] policy` and serve"
        )
    slots = max(len(row.propensity) for row in rows)
    rewards = np.array([row.reward for row in rows])
    _, person = np.unique(np.array([row.unit for row in rows]), return_inverse=True)
    logged = LoggedPages(
        rewards,
        person,
        _stacked([row.propensity for row in rows], slots, fill=1.0),
        _stacked([row.target for row in rows], slots, fill=1.0),
    )
    observed = on_policy(logged)
    features = PageFeatures(
        np.array([row.context for row in rows]),
        _stacked([row.drawn for row in rows], slots, fill=0.0),
        _stacked([row.expected for row in rows], slots, fill=0.0),
    )
    return PolicyValue(
        policy_id=policy.policy_id,
        pages=len(rows),
        effective_pages=effective_pages(logged),
        largest_weight=float(logged.weights[:, -1].max()),
        mean_weight=mean_weight(logged),
        enough=is_enough(logged),
        logged=observed,
        estimates=evaluate(logged, predict_rewards(features, rewards, person)),
    )


@dataclass(frozen=True, slots=True)
class _Row:
    """What is kept of one page of m slots."""

    unit: str
    reward: float
    propensity: Floats
    """(m,)"""
    target: Floats
    """(m,)"""
    drawn: Floats
    """(m, F)"""
    expected: Floats
    """(m, F)"""
    context: Floats


def _row(policy: Policy, page: ServedPage, reward: float) -> _Row:
    if page.arm_scores is None or page.arm_directions is None:
        raise ValueError(f"page {page.page_id} was not explored")
    arms = Arms(page.arm_scores, page.arm_directions)
    rng = np.random.default_rng(seed_of(f"{policy.policy_id}/{page.page_id}"))
    chances = page_chances(policy, arms, page.drawn, rng=rng)
    known, chosen = arm_features(arms), list(page.drawn)
    return _Row(
        unit=str(page.unit),
        reward=reward,
        propensity=np.array([page.propensities[place - 1] for place in page.explored]),
        target=chances[np.arange(len(chosen)), chosen],
        drawn=known[chosen],
        expected=chances @ known,
        context=page_features(arms),
    )


def _stacked(parts: Sequence[Floats], slots: int, *, fill: float) -> Floats:
    """(N, slots, …) of parts of up to so many slots."""
    whole = np.full((len(parts), slots, *parts[0].shape[1:]), fill)
    for row, part in enumerate(parts):
        whole[row, : len(part)] = part
    return whole
