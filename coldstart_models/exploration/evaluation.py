"""What a policy would have earned, from the log of another one.

A logged page has context x, m explored slots that were drawn with propensities b_1 … b_m, and a
reward R of the whole page, so that what the slots take from their neighbours counts. With
π_j the new policy's probability of the same draw, given the slots before, and
W_j = Π_{l ≤ j} π_l / b_l, the estimates of the new policy's mean reward are

    IPS     mean of W_m R                                     (Horvitz & Thompson, 1952)
    SNIPS   Σ W_m R / Σ W_m                                   (Swaminathan & Joachims, NIPS 2015)
    DR      mean of W_m (R − G) + c(x) + Σ_j W_{j−1} Σ_i π_ji g(x, i),
            G = c(x) + Σ_j g(x, drawn_j)                      (Dudík et al., ICML 2011)

where c and g are a model of the reward, fitted on other people's pages. IPS and DR are unbiased
whatever the model is worth, since the last sum is the mean of what W_m G adds; SNIPS is biased by
O(1/N) and does not change when rewards are shifted. Pages of one person depend on each other, so
the standard error is that of sums by person (linearised for SNIPS), with Student's t.

What a log seldom drew has a great weight, and a log that happens to lack it shows neither the loss
nor the error: IPS is then too low, and its weights' mean is below the 1 that it must be. Counted
down from the greatest reward, b + mean of W_m (R − b) errs the other way by what is lacking. So the
interval of IPS reaches over both, with b the least and the greatest reward of the log: what was
not seen may have earned anything between them, as in the outer interval of Bottou et al. (JMLR
2013). Where the weights' mean is 1 the two hardly differ.

SNIPS and DR suppose that what was not seen earned as what was. Their intervals are far narrower,
and hold where the log is worth `ENOUGH` pages and its weights' mean may be 1. Elsewhere they reach
over that of IPS as well.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import stats

from coldstart_models.errors import NotEnoughData
from coldstart_models.exploration.policy import Floats

IPS: Final = "IPS"
SNIPS: Final = "SNIPS"
DR: Final = "DR"
ENOUGH: Final = 300
"""Effective pages below which SNIPS and DR are not to be relied on.

By simulation: with 150 or 200 some pairs of policies had intervals that covered 87 or 88 of 100.
"""


@dataclass(frozen=True, slots=True)
class LoggedPages:
    """N pages of m explored slots, under the policy that was logged and a new one."""

    reward: Floats
    """(N,) of the whole page."""
    person: npt.NDArray[np.int64]
    """(N,) whose pages depend on each other."""
    propensity: Floats
    """(N, m) in (0, 1]: of what was drawn, as logged."""
    target: Floats
    """(N, m): the new policy's probability of the same draws."""

    def __post_init__(self) -> None:
        if not ((self.propensity > 0) & (self.propensity <= 1)).all():
            raise ValueError("a logged propensity is not in (0, 1]")

    @property
    def weights(self) -> Floats:
        """(N, m): W_j."""
        return np.asarray(np.cumprod(self.target / self.propensity, axis=1))


@dataclass(frozen=True, slots=True)
class PredictedReward:
    """A model of the pages' rewards, which has not seen their people."""

    page: Floats
    """(N,): c"""
    drawn: Floats
    """(N, m): g of what was drawn."""
    expected: Floats
    """(N, m): Σ_i π_ji g(x, i) under the new policy, given the slots before."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A policy's mean reward a page, by one estimator."""

    estimator: str
    value: float
    low: float
    high: float
    """With `low`, the interval."""
    error: float
    """Standard error."""

    def covers(self, truth: float) -> bool:
        """Whether the interval holds the true value."""
        return self.low <= truth <= self.high


def evaluate(
    pages: LoggedPages, predicted: PredictedReward, *, confidence: float = 0.95
) -> tuple[Estimate, Estimate, Estimate]:
    """The mean reward of the new policy by IPS, SNIPS and DR.

    Raises NotEnoughData for fewer than two people, or where the policies have no draw in common.
    """
    weights = pages.weights
    last = weights[:, -1]
    if not last.any():
        raise NotEnoughData(
            f"the new policy would have drawn nothing of what the {len(last)} logged pages "
            "explored; log with a higher floor, or evaluate a policy nearer to the logged one"
        )
    plain = last * pages.reward
    mean = float(last.mean())
    normalised = float(plain.mean() / mean)
    before = np.column_stack([np.ones(len(last)), weights[:, :-1]])
    residual = pages.reward - predicted.page - predicted.drawn.sum(axis=1)
    robust = last * residual + predicted.page + (before * predicted.expected).sum(axis=1)
    spread = last * (pages.reward - normalised) / mean
    ips = _hull(
        _mean(IPS, plain, pages.person, confidence=confidence),
        *(
            _mean("", base + last * (pages.reward - base), pages.person, confidence=confidence)
            for base in (pages.reward.min(), pages.reward.max())
        ),
    )
    snips = _estimate(SNIPS, normalised, spread, pages.person, confidence=confidence)
    robustly = _mean(DR, robust, pages.person, confidence=confidence)
    if is_enough(pages):
        return ips, snips, robustly
    return ips, _hull(snips, ips), _hull(robustly, ips)


def on_policy(pages: LoggedPages, *, confidence: float = 0.95) -> Estimate:
    """What the logged policy itself earned a page."""
    return _mean("logged", pages.reward, pages.person, confidence=confidence)


def mean_weight(pages: LoggedPages, *, confidence: float = 0.95) -> Estimate:
    """Of W_m, which is 1 in the long run: below it, the log lacks what the new policy shows."""
    return _mean("weight", pages.weights[:, -1], pages.person, confidence=confidence)


def effective_pages(pages: LoggedPages) -> float:
    """(Σ W)² / Σ W²: how many pages of the new policy the log is worth (Kish, 1965)."""
    last = pages.weights[:, -1]
    return float(last.sum() ** 2 / max(float((last**2).sum()), np.finfo(float).tiny))


def is_enough(pages: LoggedPages) -> bool:
    """Whether the log is worth enough pages, and lacks nothing that the new policy often shows.

    A log that lacks all draws of great weight is worth many pages by those it has: it is told by
    its weights' mean, which is then below 1.
    """
    return effective_pages(pages) >= ENOUGH and mean_weight(pages).high >= 1.0


def _hull(estimate: Estimate, *others: Estimate) -> Estimate:
    """The estimate with an interval that reaches over its own and the others'."""
    told = (estimate, *others)
    return replace(estimate, low=min(one.low for one in told), high=max(one.high for one in told))


def _mean(
    name: str, parts: Floats, person: npt.NDArray[np.int64], *, confidence: float
) -> Estimate:
    """The mean of (N,) parts, with its interval."""
    value = float(parts.mean())
    return _estimate(name, value, parts - value, person, confidence=confidence)


def _estimate(
    name: str,
    value: float,
    parts: Floats,
    person: npt.NDArray[np.int64],
    *,
    confidence: float,
) -> Estimate:
    """The interval of a mean whose deviations add up to zero, with people as clusters."""
    _, owner = np.unique(person, return_inverse=True)
    sums = np.bincount(owner, weights=parts)
    people = len(sums)
    if people < 2:
        raise NotEnoughData(
            f"the log holds explored pages of {people} person, expected at least two; "
            "serve longer with `[explore] policy` set"
        )
    error = float(np.sqrt((sums**2).sum() * people / (people - 1)) / len(parts))
    half = float(stats.t.ppf((1.0 + confidence) / 2.0, people - 1)) * error
    return Estimate(name, value, value - half, value + half, error)
