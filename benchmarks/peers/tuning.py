"""Tuning: the same number of trials for every peer, on the validation cut of the past.

The first trial is the setting that the module of the peer states as its default, from the paper
where it fits; the others are drawn by TPE (Bergstra et al., NeurIPS 2011; Optuna). The cut lies
inside the training period (`peers.selection.validation_task`), so the ranked items and what
happened to them are unknown to it. A peer that learns from first customers is judged with and
without them: its trial's NDCG@10 is the mean of both (`supported`).
"""

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import optuna
from optuna.trial import BaseTrial

from benchmarks.peers.kept import Kept
from benchmarks.pool_ndcg import pool_ndcg
from coldstart_models.data.catalogue import Catalogue, FloatMatrix
from coldstart_models.data.pools import Pool, shots_pools
from coldstart_models.data.splits import validation_split
from coldstart_models.errors import NotEnoughData
from coldstart_models.peers.selection import ValidationTask, drawn_users, validation_task
from coldstart_models.ranker import Ranker, RankingTask, TrainingSet

TRIALS: Final = 8
RANDOM_TRIALS: Final = 4
"""Trials, the default's among them, before TPE models them."""
SHOTS: Final = (1, 3, 10)
"""First customers of a validation cut's listings, for peers that learn from them."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and how it ranked the validation cut."""

    settings: dict[str, Any]
    ndcg: float


class TunedRanker:
    """`Ranker` of the best settings found."""

    def __init__(
        self,
        name: str,
        settings: Any,
        build: Callable[[Any], Ranker],
        *,
        trials: int = TRIALS,
        by_time: bool = True,
        adapts: bool = False,
        kept: Kept | None = None,
    ) -> None:
        """
        Args:
            settings: the class of the peer's settings.
            build: settings → an unfitted ranker.
            trials: 0 and 1 leave the default.
            by_time: which validation cut.
            adapts: whether it uses a task's support, and is judged with it too.
        """
        self.name = name
        self.trials: list[Trial] = []
        self._settings, self._build = settings, build
        self._count, self._kept = trials, kept or Kept()
        self._by_time, self._adapts = by_time, adapts

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Tune, then fit the best on the whole training period."""
        chosen = self._tuned(training, seed)
        self._ranker = self._build(chosen)
        self._ranker.fit(training, seed=seed)

    def score(self, task: RankingTask) -> FloatMatrix:
        return self._ranker.score(task)

    def _tuned(self, training: TrainingSet, seed: int) -> Any:
        """The best settings; the default where there is no cut or too little to learn on it."""
        default = self._settings()
        validation = self._kept(
            f"validation {self._by_time}",
            training,
            seed,
            lambda: validation_task(training, by_time=self._by_time, seed=seed),
        )
        if self._count < 2 or validation is None:
            return default
        with_support = (
            self._kept(
                f"supported {self._by_time}",
                training,
                seed,
                lambda: supported(training, by_time=self._by_time, seed=seed),
            )
            if self._adapts
            else []
        )
        found: list[tuple[float, Any]] = []

        def objective(trial: BaseTrial) -> float:
            settings = self._settings.suggested(trial)
            ranker = self._build(settings)
            ranker.fit(validation.training, seed=seed)
            try:
                ndcg = judged(ranker, validation, with_support, training.catalogue)
            except ValueError as reason:  # its scores are no numbers: learning went astray
                logging.getLogger(__name__).warning("a trial of %s: %s", self.name, reason)
                ndcg = 0.0
            found.append((ndcg, settings))
            self.trials.append(Trial(asdict(settings), round(ndcg, 5)))
            return ndcg

        study = _study(seed)
        study.enqueue_trial(asdict(default))
        try:
            study.optimize(objective, n_trials=self._count)
        except NotEnoughData as reason:
            logging.getLogger(__name__).warning("%s is not tuned: %s", self.name, reason)
            return default
        return max(found, key=lambda one: one[0])[1]


def supported(training: TrainingSet, *, by_time: bool, seed: int) -> list[Pool]:
    """The validation cut's listings with their first k customers, for each k of SHOTS that has
    some; users are left out by lot as in `validation_task`."""
    split = validation_split(training, by_time=by_time, seed=seed)
    pools = []
    for shots in SHOTS:
        for pool in shots_pools(split, shots=shots, seed=seed)[1:]:
            rows = np.arange(len(pool.task.user_index))
            candidates = len(pool.task.candidates)
            pools.append(pool.of_users(drawn_users(rows, candidates=candidates, lot=[seed, 31])))
    return pools


def judged(
    ranker: Ranker, validation: ValidationTask, pools: list[Pool], catalogue: Catalogue
) -> float:
    """NDCG@10 of the validation cut; with pools the mean of that and of the mean over these."""
    without = validation.ndcg(ranker.score(validation.task))
    if not pools:
        return without
    found = [pool_ndcg(ranker.score(pool.task), pool, catalogue).mean() for pool in pools]
    return (without + float(np.mean(found))) / 2


def _study(seed: int) -> Any:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    return optuna.create_study(direction="maximize", sampler=sampler)
