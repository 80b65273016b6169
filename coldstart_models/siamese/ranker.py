"""The Siamese scorer as a model of the benchmark: train, meta-train, rank."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import torch

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.episodes import (
    Episode,
    HistoryReader,
    first_available_us,
    held_out_episode,
    launch_episodes,
    with_support,
)
from coldstart_models.errors import NotEnoughData
from coldstart_models.ranker import RankingTask, TrainingSet
from coldstart_models.siamese.inputs import Featurizer, ItemInputs
from coldstart_models.siamese.togetherness import (
    TOGETHER,
    WIDTH,
    FittedTogetherness,
    fit_togetherness,
)
from coldstart_models.siamese.training import (
    MetaSiamese,
    PreparedEpisode,
    Progress,
    Schedule,
    TrainingRecord,
    prepare,
    score_task,
    train,
)
from coldstart_models.siamese.weighing import weigh

SHOTS: Final = (1, 3, 5, 10)
HELD_OUT_EPISODES: Final = 4
HELD_OUT_SHARE: Final = 0.2
META_SCHEDULE: Final = Schedule(weight_rate=0.01, tower_rate=0.0)
"""Launches are few and follow the season: meta-training moves the weights and the inner step
alone. With the towers free, NDCG on a later half-year fell while validation NDCG rose."""


@dataclass(frozen=True, slots=True)
class EpisodeSet:
    """Problems to learn on and later ones to stop by."""

    learning: list[Episode]
    validation: list[Episode]


@dataclass
class SiameseModel:
    """Everything that training produced and ranking needs."""

    featurizer: Featurizer
    fitted: FittedTogetherness
    network: MetaSiamese
    records: dict[str, TrainingRecord] = field(default_factory=dict)

    def copied(self) -> "SiameseModel":
        """A model that can learn on without changing this one."""
        network = copy.deepcopy(self.network)
        return SiameseModel(self.featurizer, self.fitted, network, dict(self.records))


def pretrain(
    training: TrainingSet,
    *,
    dates: bool,
    seed: int,
    by_time: bool = True,
    schedule: Schedule | None = None,
    progress: Progress | None = None,
) -> SiameseModel:
    """Fit the inputs and factors, then the terms' weights, then contrast on held-out items.

    The weights are fitted, and learning is stopped, by launches of the past; by held-out items of
    every domain where there are none or the task is not one of launches (`by_time` false). The
    towers learn on held-out items with their nearest kin by text, which are the hard negatives.

    Raises NotEnoughData where the training set holds no choice of a warm item.
    """
    if len(training.interactions) == 0:
        raise NotEnoughData(
            "the training set holds no positive event on a warm item; "
            "ingest events, or move the cutoff to a later date"
        )
    featurizer = Featurizer.fit(training.catalogue, training.warm, seed=seed)
    inputs = featurizer(training.catalogue)
    widths = {name: values.shape[1] for name, values in inputs.values.items()} | {TOGETHER: WIDTH}
    network = MetaSiamese(widths, dates=dates, generator=torch.Generator().manual_seed(seed))
    network.pace.learn(training)
    model = SiameseModel(
        featurizer, fit_togetherness(training.interactions, inputs, seed=seed), network
    )
    towers = held_out_episodes(training, seed=seed)
    launches, last = launch_episodes(training) if by_time else ([], None)
    if launches and last is not None:
        past = EpisodeSet(launches, [last])
    else:
        past = held_out_episodes(training, seed=seed + 2, kin=False)
    learning, weighed, validation = (
        prepare_all(each, training, inputs, seed=seed)
        for each in (towers.learning, past.learning, past.validation)
    )
    if weighed and validation:
        weigh(network, weighed, validation)
    _learn(model, learning, validation, "train", seed, schedule, progress)
    return model


def meta_train(
    model: SiameseModel,
    training: TrainingSet,
    *,
    seed: int,
    by_time: bool = True,
    histories: HistoryReader | None = None,
    schedule: Schedule | None = None,
    progress: Progress | None = None,
) -> SiameseModel:
    """Fine-tune on launch episodes, with and without support, in place.

    Where the log has no launches (or no times), or the task is not one of launches
    (`by_time` false), held-out items stand in for them.
    """
    launches, last = launch_episodes(training, histories=histories) if by_time else ([], None)
    if launches and last is not None:
        episodes = EpisodeSet(launches, [last])
    else:
        episodes = held_out_episodes(training, seed=seed + 1)
    generator = np.random.default_rng(seed)
    shots = EpisodeSet(
        _with_shots(episodes.learning, training, generator),
        _with_shots(episodes.validation, training, generator),
    )
    both = EpisodeSet(
        [*episodes.learning, *shots.learning], [*episodes.validation, *shots.validation]
    )
    inputs = model.featurizer(training.catalogue)
    learning, validation = (
        prepare_all(each, training, inputs, seed=seed) for each in (both.learning, both.validation)
    )
    _learn(model, learning, validation, "meta-train", seed, schedule or META_SCHEDULE, progress)
    return model


def held_out_episodes(training: TrainingSet, *, seed: int, kin: bool = True) -> EpisodeSet:
    """Random items treated as new, the last episode kept for validation.

    With `kin`, their nearest neighbours by text are new beside them.
    """
    generator = np.random.default_rng(seed)
    drawn = [
        held_out_episode(training, share=HELD_OUT_SHARE, generator=generator, kin=kin)
        for _ in range(HELD_OUT_EPISODES)
    ]
    episodes = [episode for episode in drawn if episode is not None]
    return EpisodeSet(episodes[:-1], episodes[-1:])


def prepare_all(
    episodes: Sequence[Episode], training: TrainingSet, inputs: ItemInputs, *, seed: int
) -> list[PreparedEpisode]:
    """Prepare episodes; those cut from the same past share one fit of the factors."""
    first_us = first_available_us(training)
    fits: dict[int, FittedTogetherness] = {}
    prepared = []
    for episode in episodes:
        key = id(episode.past)
        if key not in fits:
            fits[key] = fit_togetherness(episode.past, inputs, seed=seed)
        prepared.append(prepare(episode, inputs, fits[key], first_us=first_us))
    return prepared


def _with_shots(
    episodes: Sequence[Episode], training: TrainingSet, generator: np.random.Generator
) -> list[Episode]:
    drawn = [
        with_support(episode, training.interactions, shots=shots, generator=generator)
        for episode in episodes
        for shots in SHOTS
    ]
    return [episode for episode in drawn if episode is not None]


def _learn(
    model: SiameseModel,
    learning: list[PreparedEpisode],
    validation: list[PreparedEpisode],
    stage: str,
    seed: int,
    schedule: Schedule | None,
    progress: Progress | None,
) -> None:
    """Run one stage of learning; with too little to learn on, the start is kept."""
    if not learning or not validation:
        model.records[stage] = TrainingRecord((), 0)
        return
    model.records[stage] = train(
        model.network,
        learning,
        validation,
        schedule=schedule or Schedule(),
        generator=np.random.default_rng(seed),
        progress=progress,
    )


class SiameseRanker:
    """`Ranker` over the Siamese model; ``meta`` adds launch episodes and few-shot adaptation."""

    def __init__(
        self,
        *,
        meta: bool,
        dates: bool,
        by_time: bool = True,
        pretrained: "dict[bool, SiameseModel] | None" = None,
    ) -> None:
        """
        Args:
            pretrained: models by whether they use dates, which rankers that are fitted on the
                same training set and seed share; what is missing is added.
        """
        self.meta, self.dates, self.by_time = meta, dates, by_time
        self._pretrained = {} if pretrained is None else pretrained
        self.name = "siamese" + ("+meta" if meta else "") + ("+date" if dates else "")
        self._training: TrainingSet | None = None
        self._model: SiameseModel | None = None
        self._inputs: ItemInputs | None = None

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Train and, with ``meta``, meta-train. Raises NotEnoughData."""
        dates = self.dates and training.dated
        if dates not in self._pretrained:
            self._pretrained[dates] = pretrain(
                training, dates=dates, seed=seed, by_time=self.by_time
            )
        model = self._pretrained[dates].copied()
        if self.meta:
            meta_train(model, training, seed=seed, by_time=self.by_time)
        self._training, self._model = training, model
        self._inputs = model.featurizer(training.catalogue)

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C); support is used by ``meta`` models alone."""
        if self._training is None or self._model is None or self._inputs is None:
            raise NotEnoughData("fit the model before it scores")
        if not self.meta:
            task = RankingTask(task.user_index, task.histories, task.candidates)
        return task_scores(self._model, self._training, self._inputs, task)


def task_scores(
    model: SiameseModel, training: TrainingSet, inputs: ItemInputs, task: RankingTask
) -> FloatMatrix:
    """(U, C) scores of a task; `inputs` are of all the training set's items."""
    episode = Episode(
        training.interactions,
        task,
        np.zeros((len(task.user_index), len(task.candidates)), bool),
        np.zeros(len(task.candidates)),
    )
    prepared = prepare(episode, inputs, model.fitted, first_us=first_available_us(training))
    return score_task(model.network, prepared)
