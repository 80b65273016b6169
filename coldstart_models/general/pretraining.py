"""Pretraining: one tower learns from many shops what is chosen together, by contrast.

In a problem of a shop a user's history H sees each new content c as the Siamese scorer's nearest
term does, in the tower's space:

    s_c = 1/τ log 1/|H| Σ_h exp(τ <z_h, z_c>)
    L   = − log exp(γ s_c) / Σ_{c'} exp(γ s_c'),      c' the candidates that the user did not choose

with τ and γ learned, a pair a modality. It is InfoNCE (van den Oord et al., 2018) over late
interaction (Khattab & Zaharia, SIGIR 2020). Users are drawn candidate by candidate, so that no
correction for popularity is due (compare the log-q correction of sampled softmax, Bengio &
Senécal, 2008). Shops take turns, so that a large one counts no more than a small one.

Before that, the closed-form metric of `metric` moves each shop's contents; the tower starts there.

What a shop that nothing was learned from says decides: each shop is left out in turn, and the
metric's shrinkage, then the number of steps are those that did best on the ones left out, on
average. Plain content similarity is among both. The last run learns from all. With one shop,
contents that were held out stand in for a shop.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import BoolArray
from coldstart_models.errors import NotEnoughData
from coldstart_models.general.corpus import Corpus
from coldstart_models.general.metric import (
    SHRINKAGES,
    Metric,
    Square,
    moved,
    pooled_metric,
)
from coldstart_models.general.problems import Problem, Problems
from coldstart_models.general.tower import GeneralTower

logger = logging.getLogger(__name__)

INITIAL_TEMPERATURE: Final = 7.0
INITIAL_SCALE: Final = 10.0
BARRED: Final = -1e9
HELD_OUT_SHARE: Final = 0.2
"""Of a shop's contents, on which it is checked."""
CHECKED_PROBLEMS: Final = 4
CHECKED_USERS: Final = 200
CHECKED_CANDIDATES: Final = 400
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class GeneralSchedule:
    """How long and how fast to learn."""

    steps: int = 300
    """At most, of each run; a shop's turn is one step."""
    check_every: int = 25
    patience: int = 2
    """Checks without a gain before a run stops."""
    users: int = 64
    candidates: int = 256
    rate: float = 5e-4
    decay: float = 1e-2
    """Of the layers' weights: the pull back to content similarity."""


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

    @property
    def checked(self) -> tuple[BoolArray, BoolArray]:
        """(N,) contents that checks rank, and those that their histories hold."""
        every = np.ones(self.shop.num_contents, bool)
        return (every, every) if self.known is None else (~self.known, self.known)


class _Learner(nn.Module):
    """The tower and what only the loss needs."""

    def __init__(self, widths: dict[str, int], *, seed: int) -> None:
        super().__init__()
        self.tower = GeneralTower(widths, generator=torch.Generator().manual_seed(seed))
        count = len(widths)
        self.log_temperature = nn.Parameter(torch.full((count,), INITIAL_TEMPERATURE).log())
        self.log_scale = nn.Parameter(torch.full((count,), INITIAL_SCALE).log())

    def scores(self, corpus: Corpus, problem: Problem, name: str) -> tuple[Tensor, Tensor]:
        """(B, C) nearest terms of one modality, and which rows and columns have it (B, C)."""
        place = list(self.tower.widths).index(name)
        temperature = self.log_temperature[place].exp().clamp_max(40.0)
        present = corpus.present(name)
        used = np.unique(problem.histories[problem.histories >= 0])
        vectors = self.tower(name, torch.from_numpy(corpus.values[name][used]))
        candidates = self.tower(name, torch.from_numpy(corpus.values[name][problem.candidates]))
        told = (problem.histories >= 0) & present[problem.histories.clip(0)]
        weights = told / np.maximum(told.sum(axis=1, keepdims=True), 1)
        mixed = nn.functional.embedding_bag(
            torch.from_numpy(np.searchsorted(used, problem.histories.clip(int(used.min())))),
            (temperature * (vectors @ candidates.T)).exp(),
            per_sample_weights=torch.from_numpy(weights.astype(np.float32)),
            mode="sum",
        )
        nearest = mixed.clamp_min(1e-30).log() / temperature
        exists = told.any(axis=1)[:, None] & present[problem.candidates]
        return nearest, torch.from_numpy(exists)

    def loss(self, corpus: Corpus, problem: Problem) -> Tensor:
        """The contrast of the module's docstring, a mean over users and modalities."""
        total, counted = torch.zeros(()), 0
        rows = torch.arange(len(problem.target))
        target = torch.from_numpy(problem.target)
        for place, name in enumerate(self.tower.widths):
            if name not in corpus.values or not len(problem.target):
                continue
            nearest, exists = self.scores(corpus, problem, name)
            ranked = exists & ~torch.from_numpy(problem.barred)
            answered = ranked[rows, target]
            if not bool(answered.any()):
                continue
            logits = (self.log_scale[place].exp() * nearest).masked_fill(~ranked, BARRED)
            total = total + nn.functional.cross_entropy(logits[answered], target[answered])
            counted += 1
        return total / max(counted, 1)


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
    learner = _Learner(widths, seed=seed)
    steps = best * schedule.check_every
    all_moved = [in_metric(corpus, metric) for corpus in corpora]
    losses = [loss for _, loss in _learning(learner, all_moved, schedule, seed, steps=steps)]
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
    return _quality(_Learner(widths, seed=seed), shop, _checks(shop, *fold.checked, seed))


def _curve(
    fold: _Fold, shrinkage: float, widths: dict[str, int], seed: int, schedule: GeneralSchedule
) -> list[float]:
    """The same at every check of a run that learns from the others, the last one repeated."""
    shop, others = fold.moved(shrinkage)
    learner = _Learner(widths, seed=seed)
    checks = _checks(shop, *fold.checked, seed)
    found = [_quality(learner, shop, checks)]
    learning = _learning(learner, others, schedule, seed, new=fold.known, known=fold.known)
    for step, _ in learning:
        if step % schedule.check_every == 0:
            found.append(_quality(learner, shop, checks))
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


def _learning(
    learner: _Learner,
    corpora: Sequence[Corpus],
    schedule: GeneralSchedule,
    seed: int,
    *,
    steps: int | None = None,
    new: BoolArray | None = None,
    known: BoolArray | None = None,
) -> Iterator[tuple[int, float]]:
    """Learn step by step, shops in turn; yields the number and loss of each step."""
    generator = np.random.default_rng([seed, 5])
    problems = []
    for corpus in corpora:
        every = np.ones(corpus.num_contents, bool)
        problems.append(
            Problems(corpus, every if new is None else new, every if known is None else known)
        )
    layers = [*learner.tower.inner.values(), *learner.tower.outer.values()]
    optimizer = torch.optim.AdamW(
        [
            {"params": layers, "lr": schedule.rate, "weight_decay": schedule.decay},
            {
                "params": [learner.log_temperature, learner.log_scale],
                "lr": 10 * schedule.rate,
                "weight_decay": 0.0,
            },
        ]
    )
    for step in range(1, (schedule.steps if steps is None else steps) + 1):
        shop = problems[step % len(problems)]
        problem = shop.draw(generator, users=schedule.users, candidates=schedule.candidates)
        loss = learner.loss(shop.corpus, problem)
        if loss.requires_grad:
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        yield step, float(loss.detach())


def _usable(
    corpus: Corpus, new: BoolArray | None, known: BoolArray | None
) -> tuple[BoolArray, BoolArray]:
    """Contents that may be new, and that histories may hold; all where None."""
    every = np.ones(corpus.num_contents, bool)
    return (every if new is None else new, every if known is None else known)


def _held_out(corpus: Corpus, seed: int) -> BoolArray:
    generator = np.random.default_rng([seed, 6])
    return np.asarray(generator.random(corpus.num_contents) < HELD_OUT_SHARE)


def _checks(corpus: Corpus, new: BoolArray, known: BoolArray, seed: int) -> list[Problem]:
    problems, generator = Problems(corpus, new, known), np.random.default_rng([seed, 7])
    return [
        problems.draw(generator, users=CHECKED_USERS, candidates=CHECKED_CANDIDATES)
        for _ in range(CHECKED_PROBLEMS)
    ]


@torch.inference_mode()
def _quality(learner: _Learner, corpus: Corpus, checks: Sequence[Problem]) -> float:
    """Mean NDCG@10 of one right answer each, over modalities, problems and users."""
    found = []
    for problem in (one for one in checks if len(one.target)):
        rows = torch.arange(len(problem.target))
        target = torch.from_numpy(problem.target)
        for name in corpus.values:
            nearest, exists = learner.scores(corpus, problem, name)
            ranked = exists & ~torch.from_numpy(problem.barred)
            nearest = nearest.masked_fill(~ranked, BARRED)
            answered = ranked[rows, target]
            own = nearest[rows, target][:, None]
            rank = (nearest > own).sum(dim=1)[answered]
            found.append(torch.where(rank < 10, 1.0 / torch.log2(rank + 2.0), torch.zeros(())))
    values = torch.cat(found) if found else torch.zeros(0)
    return float(values.mean()) if len(values) else 0.0
