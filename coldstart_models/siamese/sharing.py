"""A stage of learning in several processes, each with its part of a step's users."""

import copy
from collections.abc import Sequence
from functools import partial

import numpy as np

from coldstart_models.processes import Processes
from coldstart_models.progress import Progress
from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.curves import Curves
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.preparing import PreparedEpisode
from coldstart_models.siamese.training import Schedule, TrainingRecord, train
from coldstart_models.together import Tell, handed, parameters_of, take_parameters, together

STEPS, CURVES = "steps", "curves"
"""What the first process tells of."""


def train_together(
    model: MetaSiamese,
    episodes: Sequence[PreparedEpisode],
    validation: Sequence[PreparedEpisode],
    *,
    schedule: Schedule,
    seed: int,
    count: int,
    device: str,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
    curves: Curves | None = None,
) -> TrainingRecord:
    """What `train` does, in `count` processes that are started for it on this machine.

    Raises ConfigError where there are fewer GPUs than processes.
    """
    heard = handed({STEPS: progress, CURVES: curves})
    work = partial(_train, model, list(episodes), list(validation), schedule, seed, checkpoint)
    record, state = together(work, count=count, device=device, heard=heard)
    take_parameters(model, state)
    return record


def _train(
    model: MetaSiamese,
    episodes: list[PreparedEpisode],
    validation: list[PreparedEpisode],
    schedule: Schedule,
    seed: int,
    checkpoint: Checkpoint | None,
    processes: Processes,
    tell: Tell,
) -> tuple[TrainingRecord, bytes]:
    """One of the processes; the record and the parameters as bytes.

    What a process is given it shares with the others, so that each of them would move the same
    parameters: it learns on a copy.
    """
    model = copy.deepcopy(model)
    record = train(
        model,
        episodes,
        validation,
        schedule=schedule,
        generator=np.random.default_rng(seed),
        progress=partial(tell, STEPS),
        checkpoint=checkpoint,
        curves=partial(tell, CURVES),
        processes=processes,
    )
    return record, parameters_of(model)
