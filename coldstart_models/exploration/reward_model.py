"""The model of rewards that the doubly robust estimate leans on.

A ridge regression of a page's reward on its context and on the sum of what was drawn. It is linear
in an arm's features, so what a policy is expected to draw is predicted from the features' mean
under the policy, whatever the number of arms. Each person's pages are predicted by a model of the
others (cross-fitting, Chernozhukov et al., 2018), so that the interval of the estimate holds.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from coldstart_models.exploration.evaluation import PredictedReward
from coldstart_models.exploration.policy import Arms, Floats

FOLDS: Final = 5
RIDGE: Final = 1.0


@dataclass(frozen=True, slots=True)
class PageFeatures:
    """What the model is told of N pages of m slots."""

    page: Floats
    """(N, P)"""
    drawn: Floats
    """(N, m, F) of the arms that were drawn."""
    expected: Floats
    """(N, m, F): the arms' features' mean under the new policy, given the slots before."""


def arm_features(arms: Arms) -> Floats:
    """(C, F): score and deviation, to the second degree."""
    score, deviation = arms.scores, arms.deviations
    return np.column_stack([score, score**2, deviation, deviation**2, score * deviation])


def page_features(arms: Arms) -> Floats:
    """(P,): the best score that could be drawn, the mean, and how many there are."""
    return np.array([arms.scores.max(), arms.scores.mean(), np.log1p(len(arms))])


def predict_rewards(
    features: PageFeatures, reward: Floats, person: npt.NDArray[np.int64]
) -> PredictedReward:
    """Fit on other people's pages and predict each page's parts.

    Args:
        reward: (N,)
        person: (N,), at least two distinct.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GroupKFold

    together = np.column_stack([features.page, features.drawn.sum(axis=1)])
    spread = together.std(axis=0)
    scale = np.where(spread > 0, spread, 1.0)
    width = features.page.shape[1]
    page = np.empty(len(reward))
    drawn = np.empty(features.drawn.shape[:2])
    expected = np.empty_like(drawn)
    folds = GroupKFold(min(FOLDS, len(np.unique(person))))
    for learning, held in folds.split(together, groups=person):
        model = Ridge(alpha=RIDGE).fit(together[learning] / scale, reward[learning])
        weights = model.coef_ / scale
        page[held] = model.intercept_ + features.page[held] @ weights[:width]
        drawn[held] = features.drawn[held] @ weights[width:]
        expected[held] = features.expected[held] @ weights[width:]
    return PredictedReward(page, drawn, expected)
