"""Processes of their own that need not import everything again.

They are forked from a process that has imported what they need and has computed nothing, so that
it has no threads. Starting one takes no time, and it can be killed and signalled as any other.
"""

import multiprocessing
import os
import sys
from collections.abc import Mapping
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import pytest

IMPORTED: Final = (
    "accelerate",
    "coldstart_models.cli",
    "coldstart_models.consuming",
    "coldstart_models.domain.job",
    "coldstart_models.event_intake",
    "coldstart_models.redis_stream",
    "coldstart_models.siamese.stages",
    "coldstart_models.together",
    "feature_repo.feature_definitions",
    "feature_repo.store",
    "validation.engine",
    "validation.gate",
)


def forking() -> ForkServerContext:
    """The context of such processes. The first to ask settles what is imported."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    return context


@pytest.fixture
def forked_learners(monkeypatch: pytest.MonkeyPatch) -> None:
    """`together` forks its processes; elsewhere it has each begin from nothing, as CUDA asks."""
    from coldstart_models import together

    start = together.start_processes
    forking()

    def forked(*given: Any, **how: Any) -> Any:
        return start(*given, **{**how, "start_method": "forkserver"})

    monkeypatch.setattr(together, "start_processes", forked)


class Command:
    """A running `coldstart`, what it prints going to files."""

    def __init__(self, *arguments: str, variables: Mapping[str, str], folder: Path) -> None:
        name = f"{len(list(folder.glob('*.out'))):02d}"
        self._out, self._err = folder / f"{name}.out", folder / f"{name}.err"
        self._out.touch()
        given = (arguments, dict(variables), self._out, self._err)
        self.process: BaseProcess = forking().Process(target=_run, args=given)
        self.process.start()

    @property
    def ended(self) -> bool:
        return not self.process.is_alive()

    def done(self, *, seconds: float) -> tuple[int | None, str, str]:
        """Exit code, what it printed, and its errors. Fails where it takes longer."""
        self.process.join(seconds)
        if not self.ended:
            self.process.kill()
            pytest.fail(f"it did not end in {seconds} s: {self._err.read_text()}")
        return self.process.exitcode, self._out.read_text(), self._err.read_text()


def _run(arguments: tuple[str, ...], variables: dict[str, str], out: Path, err: Path) -> None:
    """In the new process."""
    from coldstart_models import cli

    os.environ.update(variables)
    for number, path in ((1, out), (2, err)):
        with path.open("wb") as file:
            os.dup2(file.fileno(), number)
    sys.argv = ["coldstart", *arguments]
    cli.main()
