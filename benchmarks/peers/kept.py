"""What several fits on one training set share, computed once."""

import hashlib
from collections.abc import Callable
from typing import Any, TypeVar

from coldstart_models.ranker import TrainingSet

Value = TypeVar("Value")


class Kept:
    """Results by what they are, the training set and the seed. Meant for one catalogue.

    Trials of one peer, and peers of one split, see the same training sets again and again;
    content axes and hand-made features depend on nothing else.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, bytes, int], Any] = {}

    def __call__(
        self, what: str, training: TrainingSet, seed: int, make: Callable[[], Value]
    ) -> Value:
        """The kept result, or that of `make`."""
        key = (what, _digest(training), seed)
        if key not in self._kept:
            self._kept[key] = make()
        value: Value = self._kept[key]
        return value


def _digest(training: TrainingSet) -> bytes:
    """A hash of the warm items and the events."""
    log = training.interactions
    found = hashlib.blake2b(training.warm.tobytes(), digest_size=16)
    for column in (log.user_index, log.item_index, log.time_us):
        found.update(column.tobytes())
    return found.digest()
