"""What stays frozen of an encoder, computed once and kept on disk.

Of photos one array of float16, (N, V, …): V views of N photos, the first the photo itself; of texts
their vectors, shorter texts first. Computation goes on where it was stopped, by one process at a
time: others that want the same wait for it. The file's name is the hash of all that decides its
numbers.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.domain.views import view
from coldstart_models.progress import Progress
from feature_repo.encoders.content import UnreadablePhoto, open_photo
from feature_repo.errors import EncoderError
from validation.whole_files import alone, file_hash, replacing

BATCH: Final = 32
"""Photos whose maps are computed together; after each the file says how far it is."""
VERSION: Final = 3
"""Of the views and of the file; another one makes the maps anew."""


@dataclass(frozen=True, slots=True)
class MapPlan:
    """What is computed of which photos."""

    photos: Sequence[Path]
    encoder_hash: str
    free: int
    """How many blocks are not computed."""
    views: int = 1
    """Always the same ones, so that runs of several seeds share them."""

    def name(self) -> str:
        """Hash of the photos' contents and all settings."""
        digest = sha256(f"{VERSION} {self.encoder_hash} {self.free} {self.views}".encode())
        with ThreadPoolExecutor() as pool:
            for one in pool.map(file_hash, self.photos):
                digest.update(one.encode())
        return digest.hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class _Kept:
    """An array (N, …) on disk that is filled from its first row on."""

    path: Path
    count: int
    """N"""
    dtype: type[np.floating]

    @property
    def done(self) -> int:
        """Rows that are there."""
        told = self.path.with_suffix(".json")
        if not (self.path.exists() and told.exists()):
            return 0
        return int(json.loads(told.read_text())["done"])

    @contextmanager
    def filling(self) -> Iterator[int]:
        """Be the only one that fills it, of all processes; the first row that is not there yet."""
        with alone(self.path.with_suffix(".lock")):
            yield self.done

    def append(self, rows: npt.NDArray[np.floating]) -> int:
        """Write the next rows, while it is filled; how many are there now."""
        done = self.done
        whole: np.memmap[Any, Any] = np.lib.format.open_memmap(
            self.path,
            mode="r+" if done else "w+",
            dtype=self.dtype,
            shape=None if done else (self.count, *rows.shape[1:]),
        )
        whole[done : done + len(rows)] = rows
        whole.flush()
        with replacing(self.path.with_suffix(".json")) as partial:
            partial.write_text(json.dumps({"done": done + len(rows)}))
        return done + len(rows)

    def mapped(self) -> npt.NDArray[Any]:
        """All rows, read as they are asked for."""
        found: npt.NDArray[Any] = np.load(self.path, mmap_mode="r")
        return found


def feature_maps(
    plan: MapPlan,
    *,
    encoder: Any,
    stem: Callable[[Any], "torch.Tensor"],
    folder: Path,
    progress: Progress | None = None,
) -> npt.NDArray[np.float16]:
    """(N, V, …) mapped from `folder`, computed first where it is not there yet.

    Args:
        encoder: prepares and stages photos.
        stem: a staged batch to its maps (B, …).

    Raises:
        EncoderError: a photo cannot be read.
    """
    count = len(plan.photos)
    kept = _Kept(folder / f"{plan.name()}.npy", count, np.float16)
    views = range(plan.views)
    with kept.filling() as there, ThreadPoolExecutor() as pool, torch.no_grad():
        for first in range(there, count, BATCH):
            photos = plan.photos[first : first + BATCH]
            asked = [(row, number) for row in range(first, first + len(photos)) for number in views]
            prepared = list(
                pool.map(lambda one: encoder.prepare(view_of(plan.photos[one[0]], *one)), asked)
            )
            output = stem(encoder.stage(prepared).ready()).float().cpu().numpy()
            done = kept.append(output.reshape(len(photos), plan.views, *output.shape[1:]))
            if progress:
                progress(done, count)
    return kept.mapped()


def text_vectors(
    texts: Sequence[str], *, encoder: Any, folder: Path, progress: Progress | None = None
) -> FloatMatrix:
    """(N, B) what an encoder that stays as it is makes of texts, from `folder` where it is there.

    Texts of like length are computed together.
    """
    digest = sha256(f"{VERSION} {encoder.hash}".encode())
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    kept = _Kept(folder / f"{digest.hexdigest()[:24]}.npy", len(texts), np.float32)
    order = np.argsort([len(text) for text in texts], kind="stable")
    with kept.filling() as there:
        for first in range(there, len(texts), BATCH):
            done = kept.append(encoder.encode([texts[row] for row in order[first : first + BATCH]]))
            if progress:
                progress(done, len(texts))
    vectors = np.zeros((len(texts), encoder.width), np.float32)
    if len(texts):
        vectors[order] = kept.mapped()
    return vectors


def view_of(path: Path, row: int, number: int) -> Any:
    """The photo itself, or the view of that number, the same one whenever it is made."""
    try:
        photo = open_photo(path)
    except UnreadablePhoto as error:
        raise EncoderError(f"{error}; ingest quarantines such photos") from error
    return view(photo, generator=np.random.default_rng((row, number))) if number else photo
