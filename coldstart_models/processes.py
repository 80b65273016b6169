"""Processes that learn together: who computes which rows, and what all of them agree on.

Each process knows the whole batch and draws the same random numbers. It computes its part of the
rows on its own device, the outputs of all are gathered, and each computes the loss of the whole
batch. That loss is the same everywhere, so the gradient of a gathered row is as often found as
there are processes, always by the one that computed the row: it counts P-fold there, and the mean
over the processes is the gradient that one process would have found. Contrast between all pairs of
a batch needs no more than that, and a mean over rows is the mean over all of them.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from coldstart_models.data.catalogue import IntArray
from coldstart_models.errors import ConfigError
from feature_repo.encoders.registry import default_device

PATIENCE: Final = timedelta(days=2)
"""How long a process waits for another, which may compute the feature maps of a large catalogue."""
COUNT: Final = "WORLD_SIZE"
"""The variable by which torchrun, `accelerate launch` and `together` say how many there are."""
CPU: Final = "cpu"
CUDA: Final = "cuda"
AUTO: Final = "auto"
DEVICES: Final = (AUTO, CPU, CUDA)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Processes:
    """Those that learn together, as one of them sees it; by itself unless it has an accelerator."""

    device: torch.device
    """Of this process."""
    accelerator: Any = None
    """Of Hugging Face's accelerate, where there are others."""

    @property
    def count(self) -> int:
        """P"""
        return 1 if self.accelerator is None else int(self.accelerator.num_processes)

    @property
    def place(self) -> int:
        return 0 if self.accelerator is None else int(self.accelerator.process_index)

    @property
    def first(self) -> bool:
        """Whether this is the one that judges, writes and talks."""
        return self.place == 0

    def part(self, rows: IntArray) -> IntArray:
        """The ⌈R/P⌉ of the rows (R,) that this process computes.

        Where they do not divide evenly the last row is repeated, so that all parts have one size.
        """
        if self.accelerator is None or not len(rows):
            return rows
        size = -(-len(rows) // self.count)
        return rows[np.minimum(np.arange(size) + self.place * size, len(rows) - 1)]

    def gathered(self, own: Tensor, count: int) -> Tensor:
        """The outputs (R, …) of all rows from those of this process's part; R is `count`."""
        if self.accelerator is None or not count:
            return own
        found: Tensor = _Gathered.apply(own, self)
        return found[:count]

    def average(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make each gradient the mean of all processes'."""
        if self.accelerator is None:
            return
        found = [one.grad for one in parameters if one.grad is not None]
        mean = self.accelerator.reduce(torch.cat([one.flatten() for one in found]), "mean")
        parts = mean.split([one.numel() for one in found])
        for gradient, part in zip(found, parts, strict=True):
            gradient.copy_(part.view_as(gradient))

    def agreed(self, value: T) -> T:
        """The first process's value, for all."""
        if self.accelerator is None:
            return value
        from accelerate.utils import broadcast_object_list

        values = [value]
        broadcast_object_list(values, from_process=0)
        return values[0]

    def once(self, work: Callable[[], T]) -> T:
        """What the first process's work gives; the others wait for it."""
        return self.agreed(work() if self.first else None)  # type: ignore[return-value]

    def every(self, value: T) -> list[T]:
        """All processes' values, in order."""
        if self.accelerator is None:
            return [value]
        from accelerate.utils import gather_object

        found: list[T] = gather_object([value])
        return found

    def align(self, state: Mapping[str, Tensor]) -> None:
        """Give all the first process's numbers, in place: they begin as one."""
        if self.accelerator is None:
            return
        from accelerate.utils import broadcast

        with torch.no_grad():
            for value in state.values():
                value.copy_(broadcast(value.detach().clone(), from_process=0))

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The first does what follows, then the others do, who find what it left on disk."""
        if self.accelerator is None:
            yield
            return
        with self.accelerator.main_process_first():
            yield


class _Gathered(torch.autograd.Function):
    """All processes' rows; the gradient is that of the own ones, times the number of processes."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, processes: Processes) -> Tensor:
        ctx.count, ctx.first = processes.count, processes.place * len(own)
        ctx.rows = len(own)
        found: Tensor = processes.accelerator.gather(own.contiguous())
        return found

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        own = gradients[0][ctx.first : ctx.first + ctx.rows]
        return own * ctx.count, None


def joined(device: str | None = None) -> Processes:
    """This process among those that its environment names; by itself where it names none.

    Args:
        device: ``auto``, ``cpu``, ``cuda`` or, by itself, one GPU of several, ``cuda:1``; by
            default ``auto``.

    Raises ConfigError for a device that is not there, or fewer GPUs than processes.
    """
    chosen = found_device(device)
    if int(os.environ.get(COUNT, "1")) < 2:
        return Processes(chosen)
    from accelerate import Accelerator, InitProcessGroupKwargs
    from accelerate.utils import check_cuda_p2p_ib_support

    here = int(os.environ.get("LOCAL_WORLD_SIZE", os.environ[COUNT]))
    require_devices(chosen, here)
    if chosen.type == CUDA and not check_cuda_p2p_ib_support():
        os.environ |= {"NCCL_P2P_DISABLE": "1", "NCCL_IB_DISABLE": "1"}  # as its launcher does
    accelerator = Accelerator(
        cpu=chosen.type == CPU, kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)]
    )
    return Processes(chosen if chosen.type == CPU else accelerator.device, accelerator)


def require_alone() -> None:
    """Raise ConfigError in one of several processes that something else started."""
    count = int(os.environ.get(COUNT, "1"))
    if count > 1:
        raise ConfigError(
            f"this is one of {count} processes that torchrun or the like started, and each would "
            "do all of it: run the command once, with --processes where it has that"
        )


ALONE: Final = Processes(torch.device(CPU))
"""One process, on its processor."""


def found_device(name: str | None) -> torch.device:
    """The device of that name. Raises ConfigError where it is not there, or learning is not for it:
    torch knows others, and some of them only pretend to compute."""
    if name in (None, AUTO):
        return torch.device(default_device())
    device: torch.device | None = None
    with suppress(RuntimeError):
        device = torch.device(str(name))
    if device is None or device.type not in (CPU, CUDA):
        raise ConfigError(
            f"there is no device {name!r}; known are {', '.join(DEVICES)}, or one GPU, as cuda:1"
        )
    if device.type == CUDA and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"device {name!r} was asked for, and torch finds "
            f"{torch.cuda.device_count()} GPUs here; give --device cpu, or install torch for CUDA"
        )
    return device


def require_devices(device: torch.device, count: int) -> None:
    """Raise ConfigError where so many processes of a machine have no device each."""
    if device.type == CPU:
        return
    if ":" in str(device):
        raise ConfigError(
            f"{count} processes take a GPU each, and --device names {device}; give cuda or cpu"
        )
    if count > torch.cuda.device_count():
        raise ConfigError(
            f"{count} processes were asked for, and torch finds {torch.cuda.device_count()} GPUs "
            f"here; give --processes {torch.cuda.device_count()}, or --device cpu"
        )
