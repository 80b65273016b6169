"""What a process does that reads photos for another: `python -m feature_repo.jobs.photo_process`.

It is told once how an encoder wants its photos, and then, again and again, which ones, and where in
memory that both see to put them. It ends when the other does: the line between them is cut then.
"""

import importlib
import mmap
import sys
import traceback
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_repo.encoders.content import UnreadablePhoto
from feature_repo.encoders.photo_reading import PhotoReading
from feature_repo.errors import EncoderError

READY: Final = "ready"


@dataclass(frozen=True, slots=True)
class Order:
    """What the process is told at first."""

    reading: PhotoReading
    shape: tuple[int, ...]
    """Of one photo."""
    dtype: str
    places: int
    """Photos that the memory holds."""


def over(memory: mmap.mmap, order: Order) -> npt.NDArray[Any]:
    """(places, …) the memory as photos."""
    return np.frombuffer(memory, order.dtype).reshape(order.places, *order.shape)


def read_into(
    photos: npt.NDArray[Any], paths: Sequence[str], *, reading: PhotoReading
) -> list[str | None]:
    """Put each photo in its row; why there is none, where it cannot be read.

    Raises EncoderError where a photo has not the shape of the others.
    """
    reasons: list[str | None] = []
    for row, path in zip(photos, paths, strict=True):
        try:
            photo = reading.read(Path(path))
        except UnreadablePhoto as error:
            reasons.append(str(error))
            continue
        if photo.shape != row.shape:
            raise EncoderError(
                f"{path} became {photo.shape} numbers and other photos {row.shape}: processes "
                "read for encoders that want all photos in one shape; extract without --decoders"
            )
        row[:] = photo
        reasons.append(None)
    return reasons


def main(line: int, memory: int, warm: Sequence[str]) -> None:
    """Read until the line is cut.

    Args:
        line: the descriptor of the connection to the other process.
        memory: the descriptor of what both see.
        warm: modules to import while nothing is asked for.
    """
    for name in warm:
        importlib.import_module(name)
    connection = Connection(line)
    try:
        order: Order = connection.recv()
        photos = over(mmap.mmap(memory, 0), order)
        connection.send(READY)
        while True:
            first, paths = connection.recv()
            answer: list[str | None] | str  # text: what went wrong, and not with a photo
            try:
                some = photos[first : first + len(paths)]
                answer = read_into(some, paths, reading=order.reading)
            except EncoderError as error:
                answer = str(error)
            except Exception:  # whatever it is, the other process raises it
                answer = traceback.format_exc()
            connection.send(answer)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
