"""The Siamese scorer as a model of the benchmark: it learns, it ranks, it can be steered."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.episodes import (
    Episode,
    first_available_us,
)
from coldstart_models.errors import NotEnoughData
from coldstart_models.general.artifact import GeneralModel
from coldstart_models.ranker import RankingTask, TrainingSet
from coldstart_models.siamese.certainty import log_chances
from coldstart_models.siamese.network import score_task
from coldstart_models.siamese.personal import moved, own_place, standardised
from coldstart_models.siamese.preparing import PastItems, PreparedEpisode, prepare
from coldstart_models.siamese.problems import EpisodeSet, past_episodes
from coldstart_models.siamese.stages import SiameseModel, meta_train, pretrain


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A model and what it learned on, for those that learn on from there."""

    model: SiameseModel
    past: EpisodeSet | None = None
    """With what was found of it; None where that was not kept."""


class SiameseRanker:
    """`Ranker` over the Siamese model; ``meta`` adds launch episodes and few-shot adaptation."""

    def __init__(
        self,
        *,
        meta: bool,
        dates: bool,
        by_time: bool = True,
        pretrained: dict[bool, Pretrained] | None = None,
        general: GeneralModel | None = None,
    ) -> None:
        """
        Args:
            pretrained: models by whether they use dates, which rankers that are fitted on the
                same training set and seed share; what is missing is added.
            general: what other shops taught, to start from.
        """
        self.general = general
        self.meta, self.dates, self.by_time = meta, dates, by_time
        self._pretrained = {} if pretrained is None else pretrained
        self.name = "siamese" + ("+meta" if meta else "") + ("+date" if dates else "")
        self._training: TrainingSet | None = None
        self._model: SiameseModel | None = None
        self._items: PastItems | None = None

    def fit(self, training: TrainingSet, *, seed: int) -> None:
        """Train and, with ``meta``, meta-train. Raises NotEnoughData."""
        dates = self.dates and training.dated
        if dates not in self._pretrained:
            past = past_episodes(training, seed=seed, by_time=self.by_time)
            model = pretrain(
                training,
                dates=dates,
                seed=seed,
                by_time=self.by_time,
                general=self.general,
                past=past,
            )
            self._pretrained[dates] = Pretrained(model, past)
        begun = self._pretrained[dates]
        model = begun.model.copied()
        if self.meta:
            meta_train(model, training, seed=seed, by_time=self.by_time, past=begun.past)
        self._training, self._model = training, model
        self._items = PastItems.of(training.interactions, model.inputs, model.fitted, dates=dates)

    def score(self, task: RankingTask) -> FloatMatrix:
        """(U, C); support is used by ``meta`` models alone."""
        model, prepared = self._prepared(task)
        return score_task(model.network, prepared)

    @property
    def own_place(self) -> float | None:
        """Place of the learned score between the general and the personal: `siamese.personal`."""
        if self._model is None:
            raise NotEnoughData("fit the model before it is steered")
        return own_place(float(self._model.network.scorer.prior_weight.detach()))

    def score_at(self, task: RankingTask, personal: float) -> FloatMatrix:
        """(U, C), as personal as asked, from 0 to 1."""
        model, prepared = self._prepared(task)
        scores = torch.from_numpy(score_task(model.network, prepared))
        weight = float(model.network.scorer.prior_weight.detach())
        found = moved(scores, standardised(prepared.prior).expand_as(scores), weight, personal)
        return np.asarray(found.numpy(), dtype=np.float32)

    def log_chances(self, task: RankingTask) -> FloatMatrix:
        """(U, C): see `siamese.certainty`; support is used by ``meta`` models alone."""
        model, prepared = self._prepared(task)
        return log_chances(model.network, prepared)

    def own_variance(self, customers: int) -> float:
        """s² of `siamese.own_errors`, as the model learned it."""
        if self._model is None:
            raise NotEnoughData("fit the model before it is asked how sure it is")
        return self._model.network.certainty.own_variance(customers)

    def expected_demand(
        self, task: RankingTask
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """(C,) what strangers are ranked by, and its deviation: see `siamese.strangers`."""
        model, prepared = self._prepared(task)
        away = standardised(prepared.prior).double().numpy()
        nobody = np.zeros(len(away), np.int64)
        deviations = model.network.strangers.deviations(away, nobody)
        return prepared.prior.double().numpy(), deviations

    def _prepared(self, task: RankingTask) -> tuple[SiameseModel, PreparedEpisode]:
        if self._training is None or self._model is None or self._items is None:
            raise NotEnoughData("fit the model before it scores")
        if not self.meta:
            task = RankingTask(task.user_index, task.histories, task.candidates)
        return self._model, prepared_task(self._training, self._items, task)


def prepared_task(training: TrainingSet, items: PastItems, task: RankingTask) -> PreparedEpisode:
    """A task whose answer is not known, as tensors; `items` are of the training set's past."""
    times = training.interactions.time_us
    episode = Episode(
        training.interactions,
        task,
        np.zeros((len(task.user_index), len(task.candidates)), bool),
        np.zeros(len(task.candidates)),
        int(times[-1]) if training.dated and len(times) else None,
    )
    return prepare(episode, items, first_us=first_available_us(training))
