"""A stage of learning in several processes, each with its part of a step's users."""

import copy
import io
from collections.abc import Sequence
from functools import partial

import numpy as np
import torch

from coldstart_models.processes import Processes
from coldstart_models.progress import Progress
from coldstart_models.siamese.checkpoints import Checkpoint
from coldstart_models.siamese.curves import Curves
from coldstart_models.siamese.training import (
    MetaSiamese,
    PreparedEpisode,
    Schedule,
    TrainingRecord,
    train,
)
from coldstart_models.together import Tell, together


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

    def heard(kind: str | None, *content: float) -> None:
        if kind is None and progress is not None:
            progress(*map(int, content))
        elif kind is not None and curves is not None:
            curves(kind, content[0], int(content[1]))

    work = partial(_train, model, list(episodes), list(validation), schedule, seed, checkpoint)
    record, state = together(work, count=count, device=device, heard=heard)
    model.load_state_dict(torch.load(io.BytesIO(state), weights_only=True))
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
        progress=partial(tell, None),
        checkpoint=checkpoint,
        curves=tell,
        processes=processes,
    )
    state = io.BytesIO()
    torch.save(model.state_dict(), state)
    return record, state.getvalue()
