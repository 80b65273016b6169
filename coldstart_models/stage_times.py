"""Stages of taking events and listings in, told to whoever measures them; to nobody by default.

The service measures them. It stands to the right and may not be imported here, so it hands in how.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar

Measure = Callable[[str, dict[str, str | int]], AbstractContextManager[object]]
"""From a stage's name and what is known of its size to a block that is measured."""

_MEASURE: ContextVar[Measure | None] = ContextVar("stage_measure", default=None)


@contextmanager
def measured_by(measure: Measure) -> Iterator[None]:
    """Have the stages inside of the block measured."""
    token = _MEASURE.set(measure)
    try:
        yield
    finally:
        _MEASURE.reset(token)


@contextmanager
def stage(name: str, **size: str | int) -> Iterator[None]:
    """One stage: gate, log, encode, push, learn. Ids of people are no size."""
    measure = _MEASURE.get()
    if measure is None:
        yield
        return
    with measure(name, size):
        yield
