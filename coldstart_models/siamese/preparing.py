"""Episodes as tensors: those cut from the same past share one fit of what goes together."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from torch import Tensor

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.episodes import Episode, first_available_us, supported
from coldstart_models.data.interactions import Histories, Interactions
from coldstart_models.freed_memory import trim
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.dates import date_features
from coldstart_models.siamese.inputs import ItemInputs
from coldstart_models.siamese.scorer import DAY_US, HistoryBatch, Vectors
from coldstart_models.siamese.season import fit_season
from coldstart_models.siamese.selling import RecentChoices
from coldstart_models.siamese.togetherness import TOGETHER, FittedTogetherness, fit_togetherness

PER_CANDIDATE: Final = (
    "prior",
    "candidates",
    "dates",
    "log_popularity",
    "barred",
    "selling",
    "known",
)
POPULATION_SIZE: Final = 300
"""Users, about, whose profiles supporters are compared with while learning."""


@dataclass(frozen=True, slots=True)
class PreparedEpisode:
    """A ranking task as tensors. `chosen` is empty where the answer is not known."""

    inputs: Vectors
    """Tower inputs of every item."""
    prior: Tensor
    """(C,)"""
    histories: Histories
    candidates: Tensor
    """(C,) item indexes."""
    population: Histories
    """Histories of a sample of the users, for the population's mean and covariance."""
    dates: Tensor
    """(C, 2)"""
    log_popularity: Tensor
    """(C,): log q of the loss."""
    barred: Tensor
    """(U, C) bool: support pairs, which may not be ranked."""
    selling: Tensor
    """(C,): s of `selling`."""
    known: Tensor
    """(C,) bool: which candidates somebody has chosen before."""
    episode: Episode

    @property
    def device(self) -> torch.device:
        return self.candidates.device

    def to(self, device: torch.device) -> "PreparedEpisode":
        """The same with its tensors on a device."""
        return replace(
            self,
            inputs=self.inputs.to(device),
            **{name: getattr(self, name).to(device) for name in PER_CANDIDATE},
        )


@dataclass(frozen=True, slots=True)
class PastItems:
    """What a past says of all items and people, for every episode that is cut from it."""

    inputs: Vectors
    """Tower inputs of every item."""
    prior: Tensor
    """(num_items,) expected log popularity."""
    population: Histories
    """Of a sample of the users."""
    seasons: FloatMatrix
    """(num_items, 2) of `season.Season`."""
    selling: Tensor
    """(num_items,): s of `selling`; of a log without dates by the order of its events."""
    known: Tensor
    """(num_items,) bool: who was chosen."""

    @classmethod
    def of(
        cls,
        past: Interactions,
        inputs: ItemInputs,
        fitted: FittedTogetherness,
        *,
        dates: bool = False,
    ) -> "PastItems":
        """
        Args:
            fitted: on this past.
            dates: whether seasons are asked for; without, they are 0.
        """
        factors, prior = fitted.items(inputs)
        known = np.flatnonzero(past.matrix().getnnz(axis=1) > 0)
        sample = known[:: max(1, len(known) // POPULATION_SIZE)]
        seasons = np.zeros((past.num_items, 2), np.float32)
        if dates:
            seasons = fit_season(past, inputs.values).profiles(inputs.values)
        chosen = np.bincount(past.item_index, minlength=past.num_items) > 0
        recent = RecentChoices.of(past.item_index, past.time_us, num_items=past.num_items)
        return cls(
            to_vectors(inputs, factors),
            torch.from_numpy(prior),
            past.histories(sample),
            seasons,
            torch.from_numpy(recent.standing(chosen)),
            torch.from_numpy(chosen),
        )


def prepare(episode: Episode, items: PastItems, *, first_us: IntArray) -> PreparedEpisode:
    """An episode as tensors; `items` are of its own past."""
    task = episode.task
    candidates = torch.from_numpy(np.ascontiguousarray(task.candidates))
    return PreparedEpisode(
        inputs=items.inputs,
        prior=items.prior[candidates],
        histories=task.histories,
        candidates=candidates,
        population=items.population,
        dates=date_features(episode, items.seasons, first_us),
        log_popularity=torch.from_numpy(np.log(np.maximum(episode.popularity, 1.0))).float(),
        barred=torch.from_numpy(supported(task)),
        selling=items.selling[candidates],
        known=items.known[candidates],
        episode=episode,
    )


def to_vectors(inputs: ItemInputs, together: FloatMatrix) -> Vectors:
    """Content inputs and factors as the tower's tensors."""
    values = {name: torch.from_numpy(array) for name, array in inputs.values.items()}
    present = {name: torch.from_numpy(array) for name, array in inputs.present.items()}
    values[TOGETHER] = torch.from_numpy(together)
    present[TOGETHER] = torch.from_numpy(np.linalg.norm(together, axis=1) > 0)
    return Vectors(values, present)


def history_batch(histories: Histories) -> HistoryBatch:
    """Histories as tensors: item indexes as rows, ages from each user's newest event, traits."""
    items, times, traits = histories.item_index, histories.time_us, histories.traits
    newest = times.max(axis=1, keepdims=True, initial=0)
    age = np.where(items >= 0, (newest - times) / DAY_US, 0.0)
    return HistoryBatch(
        torch.from_numpy(items),
        torch.from_numpy(age.astype(np.float32)),
        torch.from_numpy(traits),
    )


Seen = dict[tuple[int, bool], PastItems]
"""What pasts say of all items, by the id of the past and whether dates are read. Whoever keeps it
keeps the episodes, or an id may come again."""


def prepare_each(
    episodes: Iterable[Episode],
    training: TrainingSet,
    inputs: ItemInputs,
    seen: Seen,
    *,
    seed: int,
    dates: bool = False,
) -> Iterator[PreparedEpisode]:
    """One at a time: an episode that is dropped is gone before the next is asked for.

    Args:
        dates: whether the model may use dates.
        seen: of the pasts that are there already; it grows.
    """
    offered: dict[tuple[int, bool], IntArray] = {}
    for episode in episodes:
        key = id(episode.past), dates
        if key not in seen:
            fitted = fit_togetherness(episode.past, inputs, seed=seed)
            seen[key] = PastItems.of(episode.past, inputs, fitted, dates=dates)
            trim()
        if key not in offered:
            offered[key] = first_available_us(training, past=episode.past)
        yield prepare(episode, seen[key], first_us=offered[key])
        del episode
