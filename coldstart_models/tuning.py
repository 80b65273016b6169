"""Which schedule of learning ranks best on a shop's own past: the study behind `coldstart tune`.

A trial is one schedule. It trains on what was known before the validation cut inside the log
(`data.splits.validation_split`) and ranks the listings launched after it, of the ranked department
where a shop has several, once for each seed; after every seed a trial is stopped whose mean has at
no seed so far reached the median of the earlier ones' at this one. The first trial is the package's
own schedule; the others are drawn by TPE (Bergstra et al., NeurIPS 2011; Akiba et al., KDD 2019).
Trials are kept in a journal as they end, so a study that was stopped goes on.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from coldstart_models import usual
from coldstart_models.config import Config, with_learning
from coldstart_models.errors import ConfigError, NotEnoughData
from coldstart_models.general.artifact import GeneralModel
from coldstart_models.peers.selection import ValidationTask, validation_task
from coldstart_models.progress import Progress
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.problems import past_episodes
from coldstart_models.siamese.ranker import Pretrained, SiameseRanker
from coldstart_models.siamese.stages import META_SCHEDULE, fine_tune, pretrain
from coldstart_models.siamese.training import Schedule

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import BaseTrial, FrozenTrial

RANDOM_TRIALS: Final = 4
"""Trials, the package's own schedule among them, before TPE models them and any is stopped."""

DEFAULT: Final = Schedule()
RANGES: Final = {
    "tower_rate": (3e-5, 3e-3),
    "tower_decay": (1e-3, 1.0),
    "meta_weight_rate": (1e-3, 1e-1),
}


@dataclass(frozen=True, slots=True)
class Learning:
    """What a trial chooses; the defaults are the package's own."""

    tower_rate: float = DEFAULT.tower_rate
    """Step size of the towers' corrections in `train`, where the few weights stand still."""
    tower_decay: float = DEFAULT.tower_decay
    meta_weight_rate: float = META_SCHEDULE.weight_rate
    """Step size of the few weights in `meta-train`, where the towers stand still."""

    @property
    def train(self) -> Schedule:
        """Of the stage `train`."""
        return replace(DEFAULT, tower_rate=self.tower_rate, tower_decay=self.tower_decay)

    @property
    def meta_train(self) -> Schedule:
        """Of the stage `meta-train`."""
        return replace(META_SCHEDULE, weight_rate=self.meta_weight_rate)

    @classmethod
    def suggested(cls, trial: "BaseTrial") -> "Learning":
        """Drawn from the ranges of the search."""
        return cls(**{name: trial.suggest_float(name, *RANGES[name], log=True) for name in RANGES})


@dataclass(frozen=True, slots=True)
class Tried:
    """One trial."""

    number: int
    learning: Learning
    ndcg: tuple[float, ...]
    """NDCG@10 on the validation cut, a seed at a time."""
    stopped: bool
    """Whether it fell behind and was not measured on every seed."""

    @property
    def mean(self) -> float:
        """NDCG@10 over the seeds that were measured."""
        return float(np.mean(self.ndcg))


@dataclass(frozen=True, slots=True)
class Tuned:
    """A study's trials, the package's own schedule among them."""

    trials: tuple[Tried, ...]
    cut: str
    users: int
    candidates: int

    @property
    def default(self) -> Tried:
        return next(one for one in self.trials if one.learning == Learning())

    @property
    def best(self) -> Tried:
        """The best of those measured on every seed; the earlier of two that are equal."""
        whole = [one for one in self.trials if not one.stopped]
        return max(whole, key=lambda one: (one.mean, -one.number))

    def toml(self) -> str:
        """The best trial as a configuration's section."""
        return with_learning(Config(), self.best.learning)

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "cut": self.cut,
            "users": self.users,
            "candidates": self.candidates,
            "default_ndcg@10": round(self.default.mean, 5),
            "best": self.best.number,
            "best_ndcg@10": round(self.best.mean, 5),
            "trials": [
                {
                    "number": one.number,
                    **asdict(one.learning),
                    "ndcg@10": [round(value, 5) for value in one.ndcg],
                    "stopped": one.stopped,
                }
                for one in self.trials
            ],
        }


def tune(
    training: TrainingSet,
    journal: Path,
    *,
    trials: int = usual.TRIALS,
    seeds: int = usual.TRIAL_SEEDS,
    dates: bool = False,
    general: GeneralModel | None = None,
    progress: Progress | None = None,
) -> Tuned:
    """Search until the study has so many trials, those of earlier runs counted.

    Args:
        training: everything that is known; the cut is made inside it.
        journal: where the trials are kept; made where it is not there.
        trials: at least 1.
        seeds: models that a trial is the mean of.
        dates: whether the model may use listing dates.
        general: what other shops taught, which every trial starts from.
        progress: told trials done and in all.

    Raises:
        ConfigError: no trial or no seed is asked for, or the journal is none.
        NotEnoughData: nothing can be learned or measured before the cut.
        ContractMismatch: the general model is of other encoders than the catalogue.
    """
    if trials < 1 or seeds < 1:
        raise ConfigError(f"{trials} trials of {seeds} seeds tell nothing; ask for 1 or more each")
    validation = validation_task(training, by_time=training.timed, seed=0, ranked_alone=True)
    if validation is None:
        raise NotEnoughData("nobody with a history chose a listing after the validation cut")
    study = _study(journal, name=_study_name(validation, seeds=seeds, dates=dates, general=general))
    if not any(one.learning == Learning() for one in map(_tried, _ended(study))):
        study.enqueue_trial(asdict(Learning()))  # also where it was killed on its way

    from optuna import TrialPruned

    def objective(trial: Any) -> float:
        learning, found = Learning.suggested(trial), list[float]()
        for seed in range(seeds):
            found.append(ranked(learning, validation, seed=seed, dates=dates, general=general))
            trial.set_user_attr("ndcg", found)
            trial.report(float(np.mean(found)), seed)
            if seed + 1 < seeds and trial.should_prune():
                raise TrialPruned
        return float(np.mean(found))

    while (done := len(_ended(study))) < trials:
        if progress is not None:
            progress(done, trials)
        study.optimize(objective, n_trials=1)
    if progress is not None:
        progress(trials, trials)
    users, candidates = validation.chosen.shape
    cut = "launches" if validation.launches else "held-out items"
    return Tuned(tuple(map(_tried, _ended(study))), cut, users, candidates)


def ranked(
    learning: Learning,
    validation: ValidationTask,
    *,
    seed: int,
    dates: bool,
    general: GeneralModel | None = None,
) -> float:
    """NDCG@10 of a model that learned so before the cut, on what came after it."""
    training, dates = validation.training, dates and validation.training.dated
    timed = training.timed
    past = past_episodes(training, seed=seed, by_time=timed)
    model = pretrain(
        training,
        dates=dates,
        seed=seed,
        general=general,
        by_time=timed,
        past=past,
        schedule=learning.train,
    )
    fine_tune(model, training, seed=seed, by_time=timed, past=past, schedule=learning.meta_train)
    ranker = SiameseRanker(meta=False, dates=dates, pretrained={dates: Pretrained(model)})
    ranker.fit(training, seed=seed)
    return validation.ndcg(ranker.score(validation.task))


def _study(journal: Path, *, name: str) -> "Study":
    """The study of that name in the journal, new or going on. Raises ConfigError."""
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal.parent.mkdir(parents=True, exist_ok=True)
    try:
        storage = optuna.storages.JournalStorage(JournalFileBackend(str(journal)))
        return optuna.create_study(
            study_name=name,
            storage=storage,
            load_if_exists=True,
            direction="maximize",
            sampler=optuna.samplers.TPESampler(n_startup_trials=RANDOM_TRIALS, seed=_seed(storage)),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=RANDOM_TRIALS),
        )
    except (ValueError, KeyError, OSError) as error:
        raise ConfigError(
            f"{journal} is not a study's journal ({error}); move it away, or name another file "
            "by --study"
        ) from error


def _seed(storage: Any) -> int:
    """Another one after every stop, so that a study that goes on does not draw the same again."""
    return sum(storage.get_n_trials(study._study_id) for study in storage.get_all_studies())


def _study_name(
    validation: ValidationTask, *, seeds: int, dates: bool, general: GeneralModel | None
) -> str:
    """The same for the same problem: trials of another catalogue, log or code say nothing here."""
    training = validation.training
    told = [
        _digest(training),
        training.catalogue.image.encoder_hash,
        training.catalogue.text.encoder_hash,
        validation.task.candidates.tolist(),
        seeds,
        dates,
        RANGES,
        version("coldstart-home"),
    ]
    if general is not None:
        told.append(general.digest)
    return f"coldstart-{hashlib.sha256(repr(told).encode()).hexdigest()[:16]}"


def _digest(training: TrainingSet) -> str:
    """Of all that is learned from: what listings say, their vectors, and every event."""
    catalogue, log = training.catalogue, training.interactions
    found = hashlib.sha256(catalogue.frame.to_csv().encode())
    for stored in (catalogue.image, catalogue.text):
        found.update(stored.vectors.tobytes())
    for column in (log.user_index, log.item_index, log.time_us, log.traits):
        found.update(column.tobytes())
    return found.hexdigest()


def _ended(study: "Study") -> Sequence["FrozenTrial"]:
    """Trials that were measured; one that was killed on its way is not."""
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state.name in ("COMPLETE", "PRUNED")
    ]


def _tried(trial: "FrozenTrial") -> Tried:
    known = {one.name for one in fields(Learning)}
    return Tried(
        number=trial.number,
        learning=Learning(**{name: trial.params[name] for name in known}),
        ndcg=tuple(trial.user_attrs["ndcg"]),
        stopped=trial.state.name == "PRUNED",
    )
