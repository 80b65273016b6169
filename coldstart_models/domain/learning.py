"""The loop: batches, checks, the best kept, and a checkpoint to go on from.

The parameters at the start are the first candidate: what is kept is better on the validation
items, or it is they. A check that forgot too much of the source is no candidate.
Everything random comes from the seed, so a run that was interrupted ends where it would have.
Of processes that learn together all take the same steps; the first one judges and writes.
"""

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from coldstart_models import usual
from coldstart_models.data.catalogue import IntArray
from coldstart_models.domain.judging import Score, standing
from coldstart_models.domain.objectives import Objectives
from coldstart_models.domain.record import Check, Record
from coldstart_models.errors import ConfigError
from coldstart_models.kept_learning import KeptLearning
from coldstart_models.processes import ALONE, Processes
from coldstart_models.progress import Progress
from coldstart_models.siamese.curves import Curves
from feature_repo.encoders.running import has_bfloat16

log = logging.getLogger(__name__)
State = dict[str, Tensor]
NO_ROWS: Final = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast to learn."""

    epochs: int = usual.EPOCHS
    batch: int = usual.BATCH
    rate: float = usual.RATE
    """Of the encoder's own weights."""
    head_rate: float = usual.HEAD_FASTER * usual.RATE
    """Of the heads and what losses learn."""
    decay: float = 1e-4
    patience: int = usual.PATIENCE
    """Epochs without a gain before it stops."""
    warm_up: float = 0.1
    """Share of the steps in which the rates grow."""

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch < 2 or self.patience < 1:
            raise ConfigError(
                f"epochs {self.epochs}, batch {self.batch} and patience {self.patience} must be "
                "at least 1, 2 and 1"
            )
        for name in ("rate", "head_rate", "decay"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ConfigError(f"{name} is {getattr(self, name)}, expected 0 or more")


def learn(
    objectives: Objectives,
    rows: IntArray,
    *,
    source_rows: IntArray = NO_ROWS,
    judge: Callable[[], Score],
    start: Score,
    schedule: Schedule,
    seed: int,
    most_forgotten: float,
    checkpoint: Path | None = None,
    fingerprint: str = "",
    progress: Progress | None = None,
    processes: Processes = ALONE,
    curves: Curves | None = None,
) -> Record:
    """Learn, and leave the objectives with the parameters that did best.

    Args:
        rows: of the target.
        judge: measures the towers as they are.
        start: what it said of the base; of gains 1 is that.
        checkpoint: written after each epoch, and gone on from where it is of this `fingerprint`,
            in any number of processes, which all find the same file.
        processes: a step's batch is that of all of them together.
        curves: told the losses of every step, and what every check found.

    Raises ConfigError where some processes find another checkpoint than others, or none.
    """
    run = _Run(objectives, rows, source_rows, schedule, seed, processes)
    whole = sha256(f"{fingerprint} {asdict(schedule)} {seed} {most_forgotten}".encode()).hexdigest()
    kept = KeptLearning(checkpoint, whole) if checkpoint is not None else None
    resumed = kept is not None and run.resume(kept)
    _require_one_beginning(processes.every(run.epoch if resumed else 0), checkpoint)
    if not resumed:
        first = processes.once(judge)
        run.checks.append(Check(0, first.gain(start), first.forgotten(start), {}, first.told))
        run.keep(0)
        if curves is not None:
            run.checks[0].draw(0, curves)
    epochs = schedule.epochs if objectives.aims.learns else 0
    while run.epoch < epochs and run.epoch - run.kept < schedule.patience:
        losses = run.one_epoch(progress, curves)
        score = processes.once(judge)
        check = Check(run.epoch, score.gain(start), score.forgotten(start), losses, score.told)
        log.info("epoch %d: gain %.4f, forgotten %.4f", run.epoch, check.gain, check.forgotten)
        found, best = (  # a start that forgets too much is no bar: AdaBN's may
            standing(one.gain, one.forgotten, most_forgotten=most_forgotten)
            for one in (check, run.checks[run.kept])
        )
        run.checks.append(check)
        if found > best and check.forgotten <= most_forgotten:
            run.keep(run.epoch)
        if curves is not None:
            check.draw(run.steps, curves)
        if kept is not None and processes.first:
            run.save(kept)
    run.restore(run.best)
    return Record(tuple(run.checks), run.kept)


def _require_one_beginning(epochs: list[int], checkpoint: Path | None) -> None:
    """Raise ConfigError, in all processes, unless all begin after the same of these `epochs`: each
    would wait for steps that another does not take."""
    if len(set(epochs)) > 1:
        told = ", ".join(map(str, epochs))
        raise ConfigError(
            f"the processes would go on after different epochs ({told}) of {checkpoint}: "
            "give a folder (--out) that all machines share, or remove what a run left in it"
        )


class _Run:
    """The state of a run between epochs."""

    def __init__(
        self,
        objectives: Objectives,
        rows: IntArray,
        source_rows: IntArray,
        schedule: Schedule,
        seed: int,
        processes: Processes,
    ) -> None:
        self.objectives, self.schedule = objectives.eval(), schedule
        self.processes = processes
        self.rows, self.source_rows = rows, source_rows
        self.device = objectives.first.device
        self.generator = np.random.default_rng(seed)
        self.optimizer = torch.optim.AdamW(self._groups(), weight_decay=schedule.decay)
        self.rates = [group["lr"] for group in self.optimizer.param_groups]
        self.per_epoch = max(1, len(rows) // schedule.batch)
        self.epoch, self.kept = 0, 0
        self.checks: list[Check] = []
        self.best: State = {}
        processes.align(self._learned() | {"start": objectives.start})

    @property
    def steps(self) -> int:
        """Taken so far."""
        return self.epoch * self.per_epoch

    def _groups(self) -> list[dict[str, Any]]:
        own = {
            id(parameter)
            for tower in (self.objectives.photo, self.objectives.text)
            if tower is not None
            for parameter in tower.free.parameters()
        }
        learned = [one for one in self.objectives.parameters() if one.requires_grad]
        parts = (
            ([one for one in learned if id(one) in own], self.schedule.rate),
            ([one for one in learned if id(one) not in own], self.schedule.head_rate),
        )
        return [{"params": parameters, "lr": rate} for parameters, rate in parts if parameters]

    def one_epoch(self, progress: Progress | None, curves: Curves | None) -> dict[str, float]:
        """The mean of each loss."""
        totals: dict[str, float] = {}
        order = self.generator.permutation(self.rows)
        for number in range(self.per_epoch):
            chosen = order[number * self.schedule.batch : (number + 1) * self.schedule.batch]
            found = self._step(self._with_neighbours(chosen), number)
            for name, value in found.items():
                totals[name] = totals.get(name, 0.0) + value / self.per_epoch
            if curves:
                for name, value in found.items():
                    curves(f"loss/{name}", value, self.steps + number + 1)
            if progress:
                progress(self.steps + number + 1, self.schedule.epochs * self.per_epoch)
        self.epoch += 1
        return totals

    def _step(self, rows: IntArray, number: int) -> dict[str, float]:
        whole = self.schedule.epochs * self.per_epoch
        done = (self.steps + number) / whole
        for group, rate in zip(self.optimizer.param_groups, self.rates, strict=True):
            group["lr"] = rate * _pace(done, self.schedule.warm_up)
        source = NO_ROWS
        if len(self.source_rows):
            count = min(self.schedule.batch, len(self.source_rows))
            source = self.generator.choice(self.source_rows, count, replace=False)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=has_bfloat16(self.device)):
            losses = dict(
                self.objectives.losses(
                    rows,
                    source,
                    progress=done,
                    generator=self.generator,
                    processes=self.processes,
                )
            )
            total = torch.stack([loss.float() for loss in losses.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        self.processes.average(self.objectives.parameters())
        torch.nn.utils.clip_grad_norm_(self.objectives.parameters(), 1.0)
        self.optimizer.step()
        return {name: float(loss.detach()) for name, loss in losses.items()}

    def _with_neighbours(self, rows: IntArray) -> IntArray:
        """Where neighbours are learned from, half of the rows and a neighbour of each."""
        known = self.objectives.teaching.neighbours
        if not known:
            return rows
        half = rows[: len(rows) // 2]
        partners = [
            self.generator.choice(known[int(row)]) if int(row) in known else row for row in half
        ]
        return np.unique(np.concatenate([half, np.array(partners, np.int64)]))

    def keep(self, epoch: int) -> None:
        """The parameters as they are become the best."""
        self.kept = epoch
        self.best = {name: value.detach().clone() for name, value in self._learned().items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go back to some parameters."""
        with torch.no_grad():
            for name, value in self._learned().items():
                value.copy_(state[name])

    def _learned(self) -> State:
        """What changes while learning, by name."""
        buffers: State = {"first_coral": self.objectives.first_coral}
        return buffers | {
            name: one for name, one in self.objectives.named_parameters() if one.requires_grad
        }

    def save(self, into: KeptLearning) -> None:
        """Everything that the next epoch depends on."""
        facts = {
            "epoch": self.epoch,
            "kept": self.kept,
            "checks": [asdict(check) for check in self.checks],
            "generator": self.generator.bit_generator.state,
        }
        content = {
            "facts": json.dumps(facts),
            "now": {name: value.detach().clone() for name, value in self._learned().items()},
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
        }
        into.write(content)

    def resume(self, kept: KeptLearning) -> bool:
        """Go on from a checkpoint; False where there is none of this run."""
        content = kept.read(device=self.device)
        if content is None:
            return False
        facts = json.loads(content["facts"])
        self.epoch, self.kept = facts["epoch"], facts["kept"]
        self.checks = [Check(**check) for check in facts["checks"]]
        self.generator.bit_generator.state = facts["generator"]
        self.best = content["best"]
        self.restore(content["now"])
        self.optimizer.load_state_dict(content["optimizer"])
        return True


def _pace(done: float, warm_up: float) -> float:
    """Share of the rate: up in a line, then down along a cosine."""
    if done < warm_up:
        return (done + 1e-3) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (done - warm_up) / (1 - warm_up)))
