"""Pretraining: a metric and one tower learn from many shops what is chosen together.

The closed-form metric of `metric` moves each shop's contents; the tower starts there and learns by
the contrast of `contrast`. What a shop that nothing was learned from says decides: each shop is
left out in turn, and the metric's shrinkage, then the number of steps are those that did best on
the ones left out, on average. Plain content similarity is among both. The last run learns from all.
With one shop, contents that were held out stand in for a shop.
"""

import logging
from collections.abc import Sequence
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
from coldstart_models.general.kept_runs import KeptRuns, problem_key
from coldstart_models.general.metric import (
    SHRINKAGES,
    Covariances,
    Metric,
    mean_covariances,
    moved,
    shop_covariances,
)
from coldstart_models.general.problems import Problem
from coldstart_models.general.tower import GeneralTower
from coldstart_models.processes import ALONE, Processes
from coldstart_models.progress import Progress
from coldstart_models.siamese.curves import Curves

logger = logging.getLogger(__name__)

HELD_OUT_SHARE: Final = 0.2
"""Of a shop's contents, on which it is checked where there is no other shop."""


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
    covariances: Covariances
    """Of what the metric may be learned from."""
    known: BoolArray | None
    """(N,) contents of the shop that may be learned from, where there is no other shop."""
    problems: list[Problem]
    """What every λ and step is checked on: near neighbours are those of plain similarity."""


def pretrain_tower(
    corpora: Sequence[Corpus],
    *,
    seed: int,
    schedule: GeneralSchedule | None = None,
    progress: Progress | None = None,
    stepping: Progress | None = None,
    curves: Curves | None = None,
    kept: KeptRuns | None = None,
    processes: Processes = ALONE,
) -> Pretrained:
    """Learn the metric and the tower from all shops.

    Args:
        progress: told how many of the runs are done.
        stepping: told every step of every run.
        curves: told the loss of every step, by the shop that is left out, and the mean quality.
        kept: where runs are written once they are over, and not repeated from.
        processes: each computes its part of a step's users on its device; the first one checks
            and writes, and the tower comes back on the processor.

    Raises NotEnoughData without a shop, or where encoders' widths differ.
    """
    schedule = schedule or GeneralSchedule()
    widths = _widths(corpora)
    told = [shop_covariances(corpus, seed=seed) for corpus in corpora]
    folds = [_fold(place, corpora, told, seed) for place in range(len(corpora))]
    by_shrinkage = {
        shrinkage: [_unlearned(fold, shrinkage, widths, seed) for fold in folds]
        for shrinkage in SHRINKAGES
    }
    means = {shrinkage: float(np.mean(found)) for shrinkage, found in by_shrinkage.items()}
    shrinkage = max(means, key=lambda one: means[one])
    key = problem_key(corpora, seed=seed, schedule=schedule, device=processes.device)
    found = processes.once(lambda: kept.read(key)) if kept is not None else []
    for done, fold in enumerate(folds):
        if done < len(found):
            continue
        drawn = _Drawn(f"loss without {fold.shop.name}", schedule.steps, stepping, curves)
        found.append(_curve(fold, shrinkage, widths, seed, schedule, processes, drawn))
        if kept is not None and processes.first:
            kept.keep(key, found)
        if progress is not None:
            progress(done + 1, len(folds) + 1)
    length = min(len(curve) for curve in found)
    mean = np.mean([curve[:length] for curve in found], axis=0)
    if curves is not None:
        for place, value in enumerate(mean):
            curves("ndcg@10 of shops left out", float(value), place * schedule.check_every)
    best = int(np.argmax(mean))
    metric = Metric(mean_covariances(told), shrinkage)
    learner = Contrast(widths, seed=seed, device=processes.device)
    steps = best * schedule.check_every
    all_moved = [in_metric(corpus, metric) for corpus in corpora]
    drawn = _Drawn("loss", steps, stepping, curves)
    for step, loss in learning(
        learner, all_moved, schedule, seed, steps=steps, processes=processes
    ):
        drawn(step, loss)
    if progress is not None:
        progress(len(folds) + 1, len(folds) + 1)
    record = GeneralRecord(
        checks=tuple((place * schedule.check_every, float(one)) for place, one in enumerate(mean)),
        kept_step=steps,
        shrinkages=means,
        by_shop={
            fold.shop.name: (by_shrinkage[1.0][place], float(found[place][best]))
            for place, fold in enumerate(folds)
        },
    )
    logger.info("kept step %d of %s, shrinkage of %s", steps, record.checks, means)
    return Pretrained(learner.tower.cpu().eval(), metric, record)


def in_metric(corpus: Corpus, metric: Metric) -> Corpus:
    """The corpus as the tower reads it."""
    return replace(
        corpus,
        values={name: moved(rows, metric.at(name, rows)) for name, rows in corpus.values.items()},
    )


def _fold(place: int, corpora: Sequence[Corpus], told: Sequence[Covariances], seed: int) -> _Fold:
    """
    Args:
        told: what each shop says of the metric.
    """
    shop = corpora[place]
    if len(corpora) > 1:
        others = [one for one in corpora if one is not shop]
        covariances = mean_covariances([*told[:place], *told[place + 1 :]])
        every = np.ones(shop.num_contents, bool)
        return _Fold(shop, others, covariances, None, problems_to_check(shop, every, every, seed))
    new = _held_out(shop, seed)
    covariances = shop_covariances(shop, seed=seed, known=~new)
    return _Fold(shop, [shop], covariances, ~new, problems_to_check(shop, new, ~new, seed))


def _unlearned(fold: _Fold, shrinkage: float, widths: dict[str, int], seed: int) -> float:
    """What the metric alone finds on the shop that is left out."""
    shop = in_metric(fold.shop, Metric(fold.covariances, shrinkage))
    return quality(Contrast(widths, seed=seed), shop, fold.problems)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A run as it is watched."""

    name: str
    steps: int
    stepping: Progress | None
    curves: Curves | None

    def __call__(self, step: int, loss: float) -> None:
        if self.stepping is not None:
            self.stepping(step, self.steps)
        if self.curves is not None:
            self.curves(self.name, loss, step)


def _curve(
    fold: _Fold,
    shrinkage: float,
    widths: dict[str, int],
    seed: int,
    schedule: GeneralSchedule,
    processes: Processes,
    drawn: _Drawn,
) -> list[float]:
    """The same at every check of a run that learns from the others, the last one repeated."""
    metric = Metric(fold.covariances, shrinkage)
    shop, others = in_metric(fold.shop, metric), [in_metric(one, metric) for one in fold.others]
    learner = Contrast(widths, seed=seed, device=processes.device)

    def checked() -> float:
        return processes.once(lambda: quality(learner, shop, fold.problems))

    found = [checked()]
    run = learning(
        learner, others, schedule, seed, new=fold.known, known=fold.known, processes=processes
    )
    for step, loss in run:
        drawn(step, loss)
        if step % schedule.check_every == 0:
            found.append(checked())
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
