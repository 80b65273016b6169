"""What learning cost: time, memory, steps and devices, as it is told and kept beside the result."""

import resource
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import torch

from coldstart_models.processes import found_device, require_alone, require_devices
from coldstart_models.progress import Progress

MB: Final = 2**20
WHOSE: Final = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one job, all of its processes together."""

    wall_seconds: float
    processor_seconds: float
    """Of all threads of all processes."""
    peak_mb: float
    """Largest resident memory of a process so far, of the one that took most."""
    steps: int
    """Of gradient descent, that this run did; those of a run it went on from are not among them."""
    steps_per_second: float
    """From the first step to the last, checks between them included; 0 of fewer than two."""
    devices: tuple[str, ...]
    """Names, one a process."""
    device_peak_mb: float | None = None
    """Of a GPU's memory, of the one that took most; None on processors."""

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {**asdict(self), "devices": list(self.devices)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Cost":
        """What `as_dict` gave."""
        return cls(**{**values, "devices": tuple(values["devices"])})

    def __str__(self) -> str:
        on = ", ".join(
            f"{self.devices.count(name)} × {name}" if self.devices.count(name) > 1 else name
            for name in dict.fromkeys(self.devices)
        )
        beside = (
            "" if self.device_peak_mb is None else f" (and {self.device_peak_mb:,.0f} of a GPU)"
        )
        return (
            f"cost: {self.wall_seconds:,.1f} s, {self.processor_seconds:,.1f} processor seconds, "
            f"{self.peak_mb:,.0f} MB at most{beside}, {self.steps:,} steps, "
            f"{self.steps_per_second:,.2f} a second, on {on}"
        )

    @classmethod
    def together(cls, costs: Sequence["Cost"]) -> "Cost":
        """Of processes that worked at the same time."""
        beside = [one.device_peak_mb for one in costs if one.device_peak_mb is not None]
        return cls(
            wall_seconds=max(one.wall_seconds for one in costs),
            processor_seconds=round(sum(one.processor_seconds for one in costs), 3),
            peak_mb=max(one.peak_mb for one in costs),
            steps=max(one.steps for one in costs),
            steps_per_second=min(one.steps_per_second for one in costs),
            devices=tuple(name for one in costs for name in one.devices),
            device_peak_mb=max(beside) if beside else None,
        )


class Meter:
    """Measures a job from when it is made, in this process and those that it started and saw end.

    Of those only processor seconds and memory are known; a GPU's memory is this process's.
    """

    def __init__(self, device: torch.device | None = None, *, processes: int = 1) -> None:
        """The job learns on `device`, in so many processes, a device of that kind each."""
        self.device, self.processes = device or torch.device("cpu"), processes
        self.steps = 0
        self._first = self._last = 0.0
        self._began, self._processor = time.perf_counter(), _processor_seconds()
        if self.device.type == "cuda":
            torch.cuda.init()  # type: ignore[no-untyped-call] # nothing else does of cuda:0
            torch.cuda.reset_peak_memory_stats(self.device)

    @classmethod
    def of(cls, device: str, processes: int) -> "Meter":
        """Of a job that starts so many processes itself; `device` as `found_device` takes it.

        Raises ConfigError where there are no such devices, or something else started several.
        """
        require_alone()
        found = found_device(device)
        if processes > 1:
            require_devices(found, processes)
        return cls(found, processes=processes)

    def counting(self, progress: Progress | None = None) -> Progress:
        """Who is told of each step, and passes it on."""

        def told(done: int, total: int) -> None:
            self._last = time.perf_counter()
            self._first = self._first if self.steps else self._last
            self.steps += 1
            if progress is not None:
                progress(done, total)

        return told

    def cost(self) -> Cost:
        """Up to now."""
        learning = self._last - self._first
        return Cost(
            wall_seconds=round(time.perf_counter() - self._began, 3),
            processor_seconds=round(_processor_seconds() - self._processor, 3),
            peak_mb=round(peak_mb(), 1),
            steps=self.steps,
            steps_per_second=round((self.steps - 1) / learning, 3) if learning > 0 else 0.0,
            devices=(device_name(self.device),) * self.processes,
            device_peak_mb=(
                round(torch.cuda.max_memory_allocated(self.device) / MB, 1)
                if self.device.type == "cuda"
                else None
            ),
        )


def peak_mb() -> float:
    """The largest resident memory of this process and of those it saw end, in MB of 2²⁰ bytes."""
    peak = max(resource.getrusage(whose).ru_maxrss for whose in WHOSE)
    return peak / (MB if sys.platform == "darwin" else 1024)


def device_name(device: torch.device) -> str:
    """What people call it."""
    if device.type == "cuda":
        return str(torch.cuda.get_device_name(device))
    return device.type


def _processor_seconds() -> float:
    """Of all threads of this process, and of the processes that it saw end."""
    used = [resource.getrusage(whose) for whose in WHOSE]
    return sum(one.ru_utime + one.ru_stime for one in used)
