"""What stays frozen of an encoder, computed once: maps of photos, on disk, and vectors of texts.

One array of float16, (N, V, …): V views of N photos, the first the photo itself. Computation goes
on where it was stopped. The file's name is the hash of all that decides its numbers.
"""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.domain.views import view
from feature_repo.encoders.content import UnreadablePhoto, file_hash, open_photo
from feature_repo.errors import EncoderError
from validation.whole_files import replacing

BATCH: Final = 32
"""Photos whose maps are computed together; after each the file says how far it is."""
VERSION: Final = 1
"""Of the views and of the file; another one makes the maps anew."""
Progress = Callable[[int, int], None]


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
    path = folder / f"{plan.name()}.npy"
    done_path = path.with_suffix(".json")
    folder.mkdir(parents=True, exist_ok=True)
    there = path.exists() and done_path.exists()
    done = json.loads(done_path.read_text())["done"] if there else 0
    count, maps = len(plan.photos), None
    with ThreadPoolExecutor() as pool, torch.no_grad():
        for first in range(done, count, BATCH):
            photos = plan.photos[first : first + BATCH]
            views = list(
                pool.map(lambda one: views_of(one[0], one[1], plan), enumerate(photos, first))
            )
            prepared = [encoder.prepare(one) for of_photo in views for one in of_photo]
            output = stem(encoder.stage(prepared).ready()).float().cpu().numpy()
            if maps is None:
                shape = (count, plan.views, *output.shape[1:])
                maps = _opened(path, shape, new=done == 0)
            maps[first : first + len(photos)] = output.reshape(len(photos), *maps.shape[1:])
            maps.flush()
            with replacing(done_path) as partial:
                partial.write_text(json.dumps({"done": first + len(photos)}))
            if progress:
                progress(first + len(photos), count)
    found: npt.NDArray[np.float16] = np.load(path, mmap_mode="r")
    return found


def text_vectors(
    texts: Sequence[str], *, encoder: Any, folder: Path, progress: Progress | None = None
) -> FloatMatrix:
    """(N, B) what an encoder that stays as it is makes of texts, from `folder` where it is there.

    Texts of like length are computed together.
    """
    digest = sha256(f"{VERSION} {encoder.hash}".encode())
    for text in texts:
        digest.update(f"{len(text)} {text}".encode())
    path = folder / f"{digest.hexdigest()[:24]}.npy"
    if path.exists():
        kept: FloatMatrix = np.load(path)
        return kept
    order = np.argsort([len(text) for text in texts], kind="stable")
    vectors = np.zeros((len(texts), encoder.width), np.float32)
    for first in range(0, len(texts), BATCH):
        chosen = order[first : first + BATCH]
        vectors[chosen] = encoder.encode([texts[row] for row in chosen])
        if progress:
            progress(first + len(chosen), len(texts))
    with replacing(path) as partial, partial.open("wb") as file:
        np.save(file, vectors)
    return vectors


def _opened(path: Path, shape: tuple[int, ...], *, new: bool) -> "np.memmap[Any, Any]":
    mode = "w+" if new else "r+"
    opened: np.memmap[Any, Any] = np.lib.format.open_memmap(
        path, mode=mode, dtype=np.float16, shape=shape if new else None
    )
    return opened


def views_of(row: int, path: Path, plan: MapPlan) -> list[Any]:
    """The photo and its other views, the same ones whenever they are made."""
    try:
        photo = open_photo(path)
    except UnreadablePhoto as error:
        raise EncoderError(f"{error}; ingest quarantines such photos") from error
    generator = np.random.default_rng(row)
    return [photo, *(view(photo, generator=generator) for _ in range(plan.views - 1))]
