"""Learning on episodes: listwise contrast, early stopping on a later cohort.

The loss is that of `contrast` over an episode's whole candidate pool, with q_c in proportion to how
many people chose c, one at least, whether they have a history or not: what q explains the scores
need not, so they learn who likes what and not which contents happened to sell in the episode's
season. What learns from support has an outer
loss of its own (`learners.outer`), on a scorer that stands still.

The parameters that did best on the validation episodes are kept, and those at the start are
among them: steps count only where a later launch agrees.
"""

import copy
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.episodes import Episode, supported, user_batches
from coldstart_models.data.interactions import Histories, Interactions
from coldstart_models.metrics import ndcg_of_each
from coldstart_models.processes import ALONE, Processes
from coldstart_models.progress import Progress
from coldstart_models.siamese.certainty import Certainty
from coldstart_models.siamese.checkpoints import Checkpoint, Course
from coldstart_models.siamese.contrast import contrast
from coldstart_models.siamese.curves import Curves
from coldstart_models.siamese.dates import DateTerm, date_features
from coldstart_models.siamese.inputs import ItemInputs
from coldstart_models.siamese.learners.evidence import Evidence
from coldstart_models.siamese.learners.learner import Learner, effect
from coldstart_models.siamese.learners.prototype import Prototype
from coldstart_models.siamese.learners.space import Space
from coldstart_models.siamese.pace import Pace
from coldstart_models.siamese.places import shared_out
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.scorer import (
    DAY_US,
    HistoryBatch,
    Profiles,
    SiameseScorer,
    Vectors,
)
from coldstart_models.siamese.season import content_width, fit_season
from coldstart_models.siamese.selling import RecentChoices
from coldstart_models.siamese.strangers import PopularitySpread
from coldstart_models.siamese.togetherness import TOGETHER, FittedTogetherness
from feature_repo.encoders.running import has_bfloat16

logger = logging.getLogger(__name__)

INITIAL_SCALE: Final = 0.3
BARRED: Final = -1e9
"""Score of a pair that may not be ranked; finite, so that gradients are."""
BATCH_USERS: Final = 64
TERMS_AT_ONCE: Final = 64_000_000
"""Numbers of terms (users × candidates × terms) that are held at once when a task is scored."""
PER_CANDIDATE: Final = (
    "prior",
    "candidates",
    "dates",
    "log_popularity",
    "barred",
    "selling",
    "known",
)
TRAINING_HISTORY: Final = 100
POPULATION_SIZE: Final = 300
"""Users, about, whose profiles supporters are compared with while learning."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    steps: int = 400
    check_every: int = 40
    patience: int = 7
    """Checks in a row without a gain, after which it stops."""
    weight_rate: float = 0.0
    """Of all but the towers. These learn beside terms that keep what was fitted (`weighing`): where
    both moved, validation fell by the weights before the towers had learned anything."""
    tower_rate: float = 3e-4
    tower_decay: float = 1e-2


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
class TrainingRecord:
    """What learning did: (step, validation NDCG@10) pairs and the step that was kept."""

    checks: tuple[tuple[int, float], ...]
    kept_step: int


class MetaSiamese(nn.Module):
    """The scorer, its few-shot learner, what selling now counts, how sure it is and, where allowed,
    the date term.
    """

    selling_weight: Tensor
    """w of `selling`."""

    def __init__(self, widths: dict[str, int], *, dates: bool, generator: torch.Generator) -> None:
        super().__init__()
        self.scorer = SiameseScorer(widths, generator=generator)
        self.learner: Learner = Prototype(len(widths))
        self.pace = Pace()
        self.certainty = Certainty(len(self.scorer.terms))
        self.date_term = DateTerm(content_width(widths)) if dates else None
        self.strangers = PopularitySpread()
        self.register_buffer("selling_weight", torch.tensor(0.0))

    def forward(
        self,
        prepared: PreparedEpisode,
        rows: npt.NDArray[np.int64],
        *,
        length: int | None = None,
        view: "TaskView | None" = None,
    ) -> Tensor:
        """(B, C) scores of some of the task's users, with what its support adds and without what
        sells now.

        Args:
            length: only the newest so many items of each history.
            view: of all the task's users, where several batches share one; by default the
                view of these rows is made.
        """
        histories = prepared.histories.take(rows)
        if length is not None:
            histories = histories.newest(length)
        if view is None:
            view = self.view(prepared, histories)
        users = self.users(view, histories)
        scores = self.scorer(view.vectors, users, view.candidates, prepared.prior)
        return self.completed(scores, users, view, prepared, rows)

    def completed(
        self,
        scores: Tensor,
        users: Profiles,
        view: "TaskView",
        prepared: PreparedEpisode,
        rows: npt.NDArray[np.int64],
    ) -> Tensor:
        """(B, C) scores of terms and prior with what dates and support add, barred pairs left out.

        Args:
            rows: of the task, the users'.
        """
        if self.date_term is not None:
            known = None if view.evidence is None else view.evidence.customers
            scores = scores + self.date_term(prepared.dates, known)
        if view.deltas is not None and view.space is not None:
            scores = scores + effect(users, view.deltas, view.space.mean)
        if view.bias is not None:
            scores = scores + view.bias
        return scores.masked_fill(prepared.barred[rows], BARRED)

    def users(self, view: "TaskView", histories: Histories) -> Profiles:
        """The people of some histories, whose items the view holds."""
        batch = history_batch(histories).to(view.used.device).among(view.used)
        return self.scorer.profiles(view.vectors, batch)

    def view(self, prepared: PreparedEpisode, histories: Histories) -> "TaskView":
        """The tower's outputs of the items that a task and some histories need."""
        support = prepared.episode.task.support
        known = [histories]
        if support is not None:
            known += [prepared.population, support.histories]
        read = [history_batch(one).to(prepared.device) for one in known]
        rows = [prepared.candidates, *(batch.rows.flatten().clamp_min(0) for batch in read)]
        used = torch.unique(torch.cat(rows))
        vectors = self.scorer.tower(prepared.inputs.take(used))
        candidates = vectors.take(torch.searchsorted(used, prepared.candidates))
        if support is None:
            return TaskView(used, vectors, candidates)
        with torch.no_grad():
            everybody, supporters = (
                self.scorer.profiles(vectors, batch.among(used)) for batch in read[1:]
            )
            space = Space.of(Population.of(everybody))
            owner = np.searchsorted(prepared.episode.task.candidates, support.item_index)
            evidence = Evidence.of(
                supporters,
                torch.from_numpy(owner).to(prepared.device),
                torch.from_numpy(support.moments).to(prepared.device),
                listings=candidates,
                prior=prepared.prior,
                space=space,
                pace=self.pace,
            )
            weights = self.learner.adapt(evidence)
            deltas = space.deltas(weights.vectors)
        return TaskView(used, vectors, candidates, deltas, weights.bias, space, evidence)


@dataclass(frozen=True, slots=True)
class TaskView:
    """What all users of a task share."""

    used: Tensor
    """(R,) item indexes, ascending."""
    vectors: Vectors
    """Of the R items."""
    candidates: Vectors
    """Of the C candidates."""
    deltas: dict[str, Tensor] | None = None
    """Modality → (C, D_m); None without support."""
    bias: Tensor | None = None
    """(C,)"""
    space: Space | None = None
    """In which supporters are compared with the population."""
    evidence: Evidence | None = None
    """Of the support."""


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


def train(
    model: MetaSiamese,
    episodes: Sequence[PreparedEpisode],
    validation: Sequence[PreparedEpisode],
    *,
    schedule: Schedule,
    generator: np.random.Generator,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    curves: Curves | None = None,
    processes: Processes = ALONE,
) -> TrainingRecord:
    """Learn in place, keep what did best on the validation episodes' mean NDCG@10.

    The episodes are moved to the device once and the model is on the processor again afterwards.
    On a GPU that computes in it steps are taken in bfloat16; checks are in float32, as it serves.

    Args:
        schedule: weights whose rate is zero are in no gradient.
        checkpoint: written at every check, and taken up where a stopped run left one.
        curves: told the loss of every step, and quality and term weights at every check.
        processes: each scores its part of a step's users; the first one checks and writes.
    """
    device = processes.device
    model.to(device)
    episodes, validation = ([one.to(device) for one in each] for each in (episodes, validation))
    log_scale = nn.Parameter(torch.tensor(INITIAL_SCALE, device=device).log())
    optimizer = _optimizer(model, log_scale, schedule)
    course: Course | None = None
    if checkpoint is not None:
        course = checkpoint.restore(model, log_scale, optimizer, generator)
    if course is None:
        quality = processes.once(lambda: _quality(model, validation))
        course = Course(quality, copy.deepcopy(model.state_dict()))
        course.checks.append((0, course.best))
    with _still([] if schedule.weight_rate else [*_weights(model), log_scale]):
        for step in range(course.step + 1, schedule.steps + 1):
            if course.stale >= schedule.patience:
                break
            prepared = episodes[step % len(episodes)]
            rows = next(user_batches(prepared.episode, size=BATCH_USERS, generator=generator))
            with torch.autocast(device.type, torch.bfloat16, enabled=has_bfloat16(device)):
                own = model(prepared, processes.part(rows), length=TRAINING_HISTORY)
            scores = processes.gathered(own, len(rows))
            chosen = torch.from_numpy(prepared.episode.chosen[rows]).to(device)
            loss = contrast(
                scores, chosen, scale=log_scale.exp(), log_popularity=prepared.log_popularity
            )
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            processes.average([*model.parameters(), log_scale])
            optimizer.step()
            course.step = step
            if progress is not None:
                progress(step, schedule.steps)
            if curves is not None:
                curves("loss", float(loss.detach()), step)
            if step % schedule.check_every == 0:
                quality = processes.once(lambda: _quality(model, validation))
                _check(course, model, quality, curves)
                if checkpoint is not None and processes.first:
                    checkpoint.save(course, model, log_scale, optimizer, generator)
    model.load_state_dict(course.best_state)
    model.to(ALONE.device)
    logger.info("kept step %d of %s", course.kept, course.checks)
    return TrainingRecord(tuple(course.checks), course.kept)


def _check(course: Course, model: MetaSiamese, quality: float, curves: Curves | None) -> None:
    """Take note of a check, and of the parameters where it is the best so far."""
    course.checks.append((course.step, quality))
    if quality > course.best:
        course.best, course.kept, course.stale = quality, course.step, 0
        course.best_state = copy.deepcopy(model.state_dict())
    else:
        course.stale += 1
    if curves is not None:
        curves("validation ndcg@10", quality, course.step)
        weights = model.scorer.term_weights.detach().tolist()
        for (name, kind), weight in zip(model.scorer.terms, weights, strict=True):
            curves(f"weight/{name} {kind}", weight, course.step)


def _optimizer(
    model: MetaSiamese, log_scale: nn.Parameter, schedule: Schedule
) -> torch.optim.Optimizer:
    """AdamW with one rate for the towers' corrections and another for the few weights."""
    weights = [*_weights(model), log_scale]
    return torch.optim.AdamW(
        [
            {"params": weights, "lr": schedule.weight_rate, "weight_decay": 0.0},
            {
                "params": _towers(model),
                "lr": schedule.tower_rate,
                "weight_decay": schedule.tower_decay,
            },
        ]
    )


def _towers(model: MetaSiamese) -> list[nn.Parameter]:
    return [*model.scorer.down.values(), *model.scorer.up.values()]


def _weights(model: MetaSiamese) -> list[nn.Parameter]:
    """All but the towers."""
    of_towers = {id(parameter) for parameter in _towers(model)}
    return [each for each in model.parameters() if id(each) not in of_towers]


@contextmanager
def _still(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """While it lasts no gradient of these is computed."""
    for each in parameters:
        each.requires_grad_(False)
    try:
        yield
    finally:
        for each in parameters:
            each.requires_grad_(True)


def _quality(model: MetaSiamese, validation: Sequence[PreparedEpisode]) -> float:
    return float(np.mean([ndcg(model, prepared) for prepared in validation]))


@torch.inference_mode()
def score_task(model: MetaSiamese, prepared: PreparedEpisode) -> FloatMatrix:
    """(U, C) scores of all of a task's users, known items by what sells now as well."""
    users, terms = len(prepared.histories), len(model.scorer.terms)
    view = model.view(prepared, prepared.histories)
    # Users of one batch share the similarities of the items that their histories share.
    size = max(BATCH_USERS, TERMS_AT_ONCE // (terms * max(1, len(prepared.candidates))))
    batches = [
        _selling(model, prepared, np.arange(start, min(start + size, users)), view).cpu().numpy()
        for start in range(0, users, size)
    ]
    return np.concatenate(batches) if batches else np.zeros((0, len(prepared.candidates)), "f4")


def _selling(
    model: MetaSiamese, prepared: PreparedEpisode, rows: npt.NDArray[np.int64], view: TaskView
) -> Tensor:
    """(B, C)"""
    plain: Tensor = model(prepared, rows, view=view)
    added = model.selling_weight * prepared.selling
    return shared_out(plain, plain + added, ~prepared.known) if added.any() else plain


def ndcg(model: MetaSiamese, prepared: PreparedEpisode) -> float:
    """Mean NDCG@10 over an episode's users."""
    (reached,) = ndcg_by_episode(model, [prepared])
    return float(reached.mean())


def ndcg_by_episode(
    model: MetaSiamese, episodes: Sequence[PreparedEpisode]
) -> list[npt.NDArray[np.float64]]:
    """(U,) NDCG@10 of every episode's users."""
    return [ndcg_of_each(score_task(model, one), one.episode.chosen) for one in episodes]
