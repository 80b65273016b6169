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
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from torch import nn

from coldstart_models.data.episodes import user_batches
from coldstart_models.processes import ALONE, Processes
from coldstart_models.progress import Progress
from coldstart_models.siamese.checkpoints import Checkpoint, Course
from coldstart_models.siamese.contrast import contrast
from coldstart_models.siamese.curves import Curves
from coldstart_models.siamese.network import BATCH_USERS, MetaSiamese, ndcg
from coldstart_models.siamese.preparing import PreparedEpisode
from feature_repo.encoders.running import has_bfloat16

logger = logging.getLogger(__name__)

INITIAL_SCALE: Final = 0.3
TRAINING_HISTORY: Final = 100


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
class TrainingRecord:
    """What learning did: (step, validation NDCG@10) pairs and the step that was kept."""

    checks: tuple[tuple[int, float], ...]
    kept_step: int


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
