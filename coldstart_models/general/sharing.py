"""Pretraining in several processes, each with its part of every step's users."""

from collections.abc import Sequence
from functools import partial

from coldstart_models.general.contrast import GeneralSchedule
from coldstart_models.general.corpus import Corpus
from coldstart_models.general.kept_runs import KeptRuns
from coldstart_models.general.metric import Metric
from coldstart_models.general.pretraining import GeneralRecord, Pretrained, pretrain_tower
from coldstart_models.general.tower import GeneralTower
from coldstart_models.processes import Processes
from coldstart_models.progress import Progress
from coldstart_models.siamese.curves import Curves
from coldstart_models.together import Tell, handed, parameters_of, take_parameters, together

RUNS, STEPS, CURVES = "runs", "steps", "curves"
"""What the first process tells of."""


def pretrain_together(
    corpora: Sequence[Corpus],
    *,
    seed: int,
    count: int,
    device: str,
    schedule: GeneralSchedule | None = None,
    progress: Progress | None = None,
    stepping: Progress | None = None,
    curves: Curves | None = None,
    kept: KeptRuns | None = None,
) -> Pretrained:
    """What `pretrain_tower` does, in `count` processes that are started for it on this machine.

    Raises ConfigError where there are fewer GPUs than processes, and what `pretrain_tower` raises.
    """
    heard = handed({RUNS: progress, STEPS: stepping, CURVES: curves})
    work = partial(_pretrain, list(corpora), seed, schedule, kept)
    widths, state, metric, record = together(work, count=count, device=device, heard=heard)
    tower = GeneralTower(widths)
    take_parameters(tower, state)
    return Pretrained(tower.eval(), metric, record)


def _pretrain(
    corpora: list[Corpus],
    seed: int,
    schedule: GeneralSchedule | None,
    kept: KeptRuns | None,
    processes: Processes,
    tell: Tell,
) -> tuple[dict[str, int], bytes, Metric, GeneralRecord]:
    """One of the processes; the tower's widths and parameters as bytes, and what came with it."""
    made = pretrain_tower(
        corpora,
        seed=seed,
        schedule=schedule,
        progress=partial(tell, RUNS),
        stepping=partial(tell, STEPS),
        curves=partial(tell, CURVES),
        kept=kept,
        processes=processes,
    )
    return made.tower.widths, parameters_of(made.tower), made.metric, made.record
