"""Pretraining: a metric and one tower learn from many shops what is chosen together.

The closed-form metric of `metric` moves each shop's contents; the tower starts there and learns by
the contrast of `contrast`. What a shop that nothing was learned from says decides: each shop is
left out in turn, and the metric's shrinkage, then the number of steps are those that did best on
the ones left out, on average. Plain content similarity is among both. The last run learns from all.
With one shop, contents that were held out stand in for a shop.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from coldstart_models.data.catalogue import BoolArray
from coldstart_models.errors import NotEnoughData
from coldstart_models.general.contrast import (
    Contrast,
    GeneralSchedule,
    learning,
    problems_to_check,
    quality,
)
from coldstart_models.general.corpus import Corpus
from coldstart_models.general.metric import SHRINKAGES, Metric, Square, moved, pooled_metric
from coldstart_models.general.problems import Problem
from coldstart_models.general.tower import GeneralTower

logger = logging.getLogger(__name__)

HELD_OUT_SHARE: Final = 0.2
"""Of a shop's contents, on which it is checked where there is no other shop."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class GeneralRecord:
    """What pretraining did."""

    checks: tuple[tuple[int, float], ...]
    """(step, mean NDCG@10 on what was left out); step 0 is the metric alone."""
    kept_step: int
    shrinkages: dict[float, float]
    """λ of the metric → the same of the metric alone; 1 is content similarity."""
    by_shop: dict[str, tuple[float, float]]
    """Shop → NDCG@10 of content similarity and of what was kept, both on it while left out."""
    losses: tuple[float, ...]
    """Of each step of the last run."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What pretraining made."""

    tower: GeneralTower
    metric: Metric
    record: GeneralRecord


@dataclass(frozen=True, slots=True)
class _Fold:
    """A shop that is left out, and what the metric is learned from meanwhile."""

    shop: Corpus
    others: list[Corpus]
    metric: Metric
    """At λ = 0; each λ is tried."""
    known: BoolArray | None
    """(N,) contents of the shop that may be learned from, where there is no other shop."""

    def moved(self, shrinkage: float) -> "tuple[Corpus, list[Corpus]]":
        """The shop and the others in the metric with that λ."""
        metric = Metric(self.metric.covariances, shrinkage)
        shop = in_metric(self.shop, metric)
        return shop, [shop if one is self.shop else in_metric(one, metric) for one in self.others]

    def problems(self, seed: int) -> list[Problem]:
        """What every λ and step is checked on: near neighbours are those of plain similarity."""
        new = known = np.ones(self.shop.num_contents, bool)
        if self.known is not None:
            new, known = ~self.known, self.known
        return problems_to_check(self.shop, new, known, seed)


def pretrain_tower(
    corpora: Sequence[Corpus],
    *,
    seed: int,
    schedule: GeneralSchedule | None = None,
    progress: Progress | None = None,
) -> Pretrained:
    """Learn the metric and the tower from all shops.

    Raises NotEnoughData without a shop, or where encoders' widths differ.
    """
    schedule = schedule or GeneralSchedule()
    widths = _widths(corpora)
    folds = [_fold(corpus, corpora, seed) for corpus in corpora]
    by_shrinkage = {
        shrinkage: [_unlearned(fold, shrinkage, widths, seed) for fold in folds]
        for shrinkage in SHRINKAGES
    }
    means = {shrinkage: float(np.mean(found)) for shrinkage, found in by_shrinkage.items()}
    shrinkage = max(means, key=lambda one: means[one])
    curves = {}
    for done, fold in enumerate(folds):
        curves[fold.shop.name] = _curve(fold, shrinkage, widths, seed, schedule)
        if progress is not None:
            progress(done + 1, len(folds) + 1)
    length = min(len(curve) for curve in curves.values())
    mean = np.mean([curve[:length] for curve in curves.values()], axis=0)
    best = int(np.argmax(mean))
    metric = Metric(_covariances(corpora, seed, None), shrinkage)
    learner = Contrast(widths, seed=seed)
    steps = best * schedule.check_every
    all_moved = [in_metric(corpus, metric) for corpus in corpora]
    losses = [loss for _, loss in learning(learner, all_moved, schedule, seed, steps=steps)]
    if progress is not None:
        progress(len(folds) + 1, len(folds) + 1)
    record = GeneralRecord(
        checks=tuple((place * schedule.check_every, float(one)) for place, one in enumerate(mean)),
        kept_step=steps,
        shrinkages=means,
        by_shop={
            fold.shop.name: (by_shrinkage[1.0][place], float(curves[fold.shop.name][best]))
            for place, fold in enumerate(folds)
        },
        losses=tuple(losses),
    )
    logger.info("kept step %d of %s, shrinkage of %s", steps, record.checks, means)
    return Pretrained(learner.tower.eval(), metric, record)


def in_metric(corpus: Corpus, metric: Metric) -> Corpus:
    """The corpus as the tower reads it."""
    return replace(
        corpus,
        values={name: moved(rows, metric.at(name, rows)) for name, rows in corpus.values.items()},
    )


def _fold(corpus: Corpus, corpora: Sequence[Corpus], seed: int) -> _Fold:
    others = [one for one in corpora if one is not corpus]
    known = None if others else ~_held_out(corpus, seed)
    covariances = _covariances(others or [corpus], seed, known)
    return _Fold(corpus, others or [corpus], Metric(covariances, 0.0), known)


def _covariances(
    corpora: Sequence[Corpus], seed: int, known: BoolArray | None
) -> dict[str, Square]:
    found = {
        name: pooled_metric(corpora, name, seed=seed, known=known) for name in _widths(corpora)
    }
    return {name: one for name, one in found.items() if one is not None}


def _unlearned(fold: _Fold, shrinkage: float, widths: dict[str, int], seed: int) -> float:
    """What the metric alone finds on the shop that is left out."""
    shop, _ = fold.moved(shrinkage)
    return quality(Contrast(widths, seed=seed), shop, fold.problems(seed))


def _curve(
    fold: _Fold, shrinkage: float, widths: dict[str, int], seed: int, schedule: GeneralSchedule
) -> list[float]:
    """The same at every check of a run that learns from the others, the last one repeated."""
    shop, others = fold.moved(shrinkage)
    learner = Contrast(widths, seed=seed)
    checks = fold.problems(seed)
    found = [quality(learner, shop, checks)]
    run = learning(learner, others, schedule, seed, new=fold.known, known=fold.known)
    for step, _ in run:
        if step % schedule.check_every == 0:
            found.append(quality(learner, shop, checks))
            if max(found) > max(found[-schedule.patience :]):
                break
    lacking = schedule.steps // schedule.check_every + 1 - len(found)
    return found + [found[-1]] * lacking


def _widths(corpora: Sequence[Corpus]) -> dict[str, int]:
    if not corpora:
        raise NotEnoughData("the general model learns from at least one shop; name its source")
    widths: dict[str, int] = {}
    for corpus in corpora:
        for name, values in corpus.values.items():
            if widths.setdefault(name, values.shape[1]) != values.shape[1]:
                raise NotEnoughData(
                    f"{corpus.name} has {name} vectors of {values.shape[1]} numbers, another shop "
                    f"of {widths[name]}; encode all shops with the same encoders"
                )
    return widths


def _held_out(corpus: Corpus, seed: int) -> BoolArray:
    generator = np.random.default_rng([seed, 6])
    return np.asarray(generator.random(corpus.num_contents) < HELD_OUT_SHARE)
