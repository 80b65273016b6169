"""ALDI: new items learn from warm ones to be scored as these are.

Source: Huang et al., "Aligning Distillation for Cold-Start Item Recommendation", SIGIR 2023,
section 3. A factorisation of the warm items is the teacher; the student sees an item's content
and the teacher's user vector. With teacher scores t, student scores s, a choice
i, another item j and the weight w_i = tanh(a · users of i),

    L = − log σ(s_i − s_j) + α w_i CE(σ(t_i − t_j), s_i − s_j)       ranking
        + β w_i CE(σ(t_ii − t̄_ij), s_ii − s̄_ij)                      identification
        + γ (|t_i − s_i| + |t_j − s_j|)                               rating distribution

where t_ii and t̄_ij are products of an item's vector with itself and, on average, with the
batch's other items.

Different: the teacher is weighted ALS, scaled to logits. With the BPR factorisation of the
authors' code, on logs this small, the student ranked the validation cuts far worse.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from optuna.trial import BaseTrial
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits as cross_entropy
from torch.nn.functional import logsigmoid

from benchmarks.peers.content import item_content
from benchmarks.peers.kept import Kept
from benchmarks.peers.latent import Factors, scaled_factors
from benchmarks.peers.networks import choice_batches, descend, known_items, layers
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.ranker import RankingTask, TrainingSet

WIDTH: Final = 64
"""Factors of the teacher, and of the student."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What is tuned."""

    ranking: float = 0.9
    """α"""
    identification: float = 0.05
    """β"""
    rating: float = 0.1
    """γ"""
    trust: float = 0.1
    """a"""
    rate: float = 1e-3
    epochs: int = 20
    scale: float = 3.0
    """Standard deviation of the teacher's scores, which are logits here."""
    confidence: float = 10.0
    """α of the teacher's ALS."""

    @classmethod
    def suggested(cls, trial: BaseTrial) -> "Settings":
        return cls(
            ranking=trial.suggest_float("ranking", 0.1, 10.0, log=True),
            identification=trial.suggest_float("identification", 0.01, 1.0, log=True),
            rating=trial.suggest_float("rating", 0.01, 1.0, log=True),
            trust=trial.suggest_float("trust", 0.01, 1.0, log=True),
            rate=trial.suggest_float("rate", 3e-4, 1e-2, log=True),
            epochs=trial.suggest_int("epochs", 5, 40),
            scale=trial.suggest_float("scale", 1.0, 10.0, log=True),
            confidence=trial.suggest_float("confidence", 1.0, 100.0, log=True),
        )


class Aldi:
    """`Ranker`: the student's scores of new items, the teacher's of warm ones."""

    name = "aldi"

    def __init__(self, settings: Settings | None = None, *, kept: Kept | None = None) -> None:
        self._settings = settings or Settings()
        self._kept = kept or Kept()

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        log = training.interactions
        chosen = self._settings
        self._teacher = scaled_factors(
            log, width=WIDTH, confidence=chosen.confidence, scale=chosen.scale, seed=seed
        )
        axes = item_content(training, seed=seed, kept=self._kept).axes
        self._student = self._distilled(training, axes, seed=seed)
        self._warm = log.item_users() > 0

    def score(self, task: RankingTask) -> FloatMatrix:
        student, teacher = self._student.scores(task), self._teacher.scores(task)
        return np.where(self._warm[task.candidates], teacher, student)

    def _distilled(self, training: TrainingSet, axes: FloatMatrix, *, seed: int) -> Factors:
        chosen, log = self._settings, training.interactions
        users, items = torch.from_numpy(self._teacher.users), torch.from_numpy(self._teacher.items)
        content = torch.from_numpy(axes)
        trust = torch.tanh(chosen.trust * torch.from_numpy(log.item_users()))
        draw = torch.Generator().manual_seed(seed)
        of_user, of_item = (
            layers(width, 200, WIDTH, generator=draw, normalised=True)
            for width in (WIDTH, axes.shape[1])
        )
        generator, known = np.random.default_rng([seed, 11]), known_items(log)

        def losses() -> Iterator[Tensor]:
            batches = choice_batches(log, epochs=chosen.epochs, generator=generator, least=2)
            for user, item in batches:
                other = generator.choice(known, size=len(item))
                mapped, own, its = of_user(users[user]), of_item(content[item]), content[other]
                student = _scores(mapped, own, of_item(its))
                teacher = _scores(users[user], items[item], items[other])
                yield self._loss(student, teacher, trust[item])

        descend([*of_user.parameters(), *of_item.parameters()], losses(), rate=chosen.rate)
        with torch.inference_mode():
            return Factors(of_user.eval()(users).numpy(), of_item.eval()(content).numpy())

    def _loss(self, student: "Scores", teacher: "Scores", trust: Tensor) -> Tensor:
        chosen = self._settings
        margin, identity = student.chosen - student.other, student.itself - student.others
        ranks = torch.sigmoid(teacher.chosen - teacher.other)
        identified = torch.sigmoid(teacher.itself - teacher.others)
        ratings = (teacher.chosen - student.chosen).abs() + (teacher.other - student.other).abs()
        return (
            -logsigmoid(margin).mean()
            + chosen.ranking * cross_entropy(margin, ranks, weight=trust)
            + chosen.identification * cross_entropy(identity, identified, weight=trust)
            + chosen.rating * ratings.mean()
        )


@dataclass(frozen=True, slots=True)
class Scores:
    """Of a batch of B choices by one of the two models; each (B,)."""

    chosen: Tensor
    other: Tensor
    itself: Tensor
    others: Tensor


def _scores(user: Tensor, item: Tensor, other: Tensor) -> Scores:
    return Scores(
        (user * item).sum(dim=1),
        (user * other).sum(dim=1),
        (item * item).sum(dim=1),
        (item @ other.T).mean(dim=1),
    )
