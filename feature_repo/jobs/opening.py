"""A batch's photos or texts, opened as the encoder wants them: by threads, or by processes."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

from feature_repo.encoders.content import UnreadablePhoto, open_photo
from feature_repo.encoders.encoder import Encoder, Modality, stages_of
from feature_repo.encoders.photo_reading import PhotoReading
from feature_repo.errors import EncoderError
from feature_repo.jobs.photo_workers import PhotoWorkers, Slot, as_prepared

AHEAD: Final = 2
"""Batches prepared in advance."""
TOGETHER: Final = 8
"""Photos that a thread opens at a time: handing over a single small one takes as long as itself."""


def nothing() -> None:
    """What is to be done after a batch that has memory of its own."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A batch's contents."""

    prepared: Any
    """A sequence, or an array, of those that could be read."""
    reasons: Sequence[str | None]
    """Of each: why it could not."""
    done: Callable[[], None] = nothing
    """To be called when the model has had them."""


class Opening(Protocol):
    """Opens photos or texts."""

    def begin(self, values: Sequence[str]) -> Callable[[], Opened]:
        """Begin with a batch; what is returned waits for it."""


@dataclass(frozen=True, slots=True)
class ByThreads:
    """Opens them in this process."""

    encoder: Encoder
    pool: Executor

    def begin(self, values: Sequence[str]) -> Callable[[], Opened]:
        """Photos begin to be opened; texts are, where it is waited for."""
        if self.encoder.modality is Modality.TEXT:
            return partial(self._texts, values)
        opened = [
            self.pool.submit(self._photos, values[first : first + TOGETHER]).result
            for first in range(0, len(values), TOGETHER)
        ]
        return partial(self._gathered, opened)

    def _texts(self, values: Sequence[str]) -> Opened:
        return Opened([self.encoder.prepare(value) for value in values], [None] * len(values))

    def _photos(self, values: Sequence[str]) -> list[Any]:
        return [self._photo(value) for value in values]

    def _photo(self, value: str) -> Any:
        read = getattr(self.encoder, "read", None)
        try:
            return read(Path(value)) if read else self.encoder.prepare(open_photo(Path(value)))
        except UnreadablePhoto as error:
            return error

    def _gathered(self, opened: Sequence[Callable[[], list[Any]]]) -> Opened:
        found = [one for some in opened for one in some()]
        decoded = getattr(self.encoder, "decoded", None)
        if decoded is not None:
            found = decoded(found)
        return Opened(
            [one for one in found if not isinstance(one, UnreadablePhoto)],
            [str(one) if isinstance(one, UnreadablePhoto) else None for one in found],
        )


@dataclass(frozen=True, slots=True)
class ByProcesses:
    """Photos, opened by other processes."""

    workers: PhotoWorkers

    def begin(self, values: Sequence[str]) -> Callable[[], Opened]:
        """They begin to be opened, into memory that `done` gives back."""
        slot = self.workers.take()
        begun = self.workers.begin(values, slot)

        def opened() -> Opened:
            reasons = [reason for some in begun for reason in some.result()]
            photos = as_prepared(slot.photos[: len(values)], reasons)
            return Opened(photos, reasons, partial(self._done, slot))

        return opened

    def _done(self, slot: Slot) -> None:
        self.workers.give_back(slot)


@contextmanager
def photo_workers(count: int) -> Iterator[PhotoWorkers | None]:
    """So many processes that will open photos; None for none."""
    if not count:
        yield None
        return
    with PhotoWorkers(count=count) as workers:
        yield workers


def tell(workers: PhotoWorkers, encoder: Encoder, *, batch: int) -> None:
    """Say to processes how an encoder wants its photos, `batch` at a time.

    Raises EncoderError where the encoder can only read them itself.
    """
    reading: PhotoReading | None = getattr(encoder, "reading", None)
    if reading is None:
        raise EncoderError(
            f"{encoder.id!r} reads photos in a way of its own, that other processes have not; "
            "extract without --decoders"
        )
    # Of batches, one more than may wait is begun, and one more than the model lags is with it.
    workers.tell(reading, batch=batch, slots=AHEAD + 1 + stages_of(encoder).lag + 1)
