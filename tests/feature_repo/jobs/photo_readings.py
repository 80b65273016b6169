"""Ways of reading photos that go wrong, importable by the processes that read."""

import os
import signal
import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from feature_repo.encoders.content import open_photo
from feature_repo.encoders.photo_reading import PhotoReading


def middle(photo: Image.Image) -> npt.NDArray[np.uint8]:
    """(3,) the photo's colour."""
    return np.asarray(photo.resize((1, 1)), np.uint8)[0, 0]


def sides(photo: Image.Image) -> npt.NDArray[np.uint8]:
    """As many numbers as the photo is high."""
    return np.zeros(photo.height, np.uint8)


class Reading(PhotoReading):
    """Reads photos, but for those whose names say what happens to the process that does."""

    __slots__ = ()

    def read(self, path: Path) -> npt.NDArray[np.uint8]:
        if path.name.startswith("deadly"):
            os.kill(os.getpid(), signal.SIGSEGV)
        if path.name.startswith("large"):
            os.kill(os.getpid(), signal.SIGKILL)
        if path.name.startswith("once") and path.exists():
            path.unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        if path.name.startswith("wrong"):
            raise ZeroDivisionError("a mistake in the reading itself")
        if path.name.startswith("slow"):
            time.sleep(0.2)
        return self.prepare(open_photo(path if path.exists() else path.with_name("red.png")))


def reading() -> Reading:
    """Of one colour a photo."""
    return Reading(middle)
