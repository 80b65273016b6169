"""Everything of an extraction but the forward pass: ``make bench-feeding``.

The job over generated photos, small and large ones, with an encoder as wide as ResNet-50 that costs
next to nothing: what it takes is what the job can feed a model with. By threads, and by so many
processes. What one processor reads, decodes and resizes is measured by itself beside, and from that
how many of them a GPU needs whose bare pass is given (``--bare NAME=PHOTOS_A_SECOND``; by default
those of docs/scale.md).
"""

import argparse
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks import results, shop
from benchmarks.extraction import photo_paths, scale, with_copies
from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.encoders.photo_reading import PhotoReading
from feature_repo.encoders.resnet import INPUT
from feature_repo.feature_tables import ITEM_IMAGE_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.extract import extract
from validation.whole_files import file_hash

WIDTH: Final = 2_048
SIDES: Final = {0: 10, 1_000: 2}
"""Pixels of the photos, 0 for as they are generated (224), and copies of each."""
BARE: Final = {"ResNet-50": 22_150.9, "ViT-L/16": 3_229.4}
"""Photos a second of a bare pass on an H100 (docs/scale.md)."""
OF_BARE: Final = 0.8
"""The share of it that a job is to reach."""
ONE_CORE: Final = 120
"""Photos that one processor reads to be timed."""


class Free:
    """An encoder whose forward pass takes some of a photo's values."""

    id, licence, width, modality = "free", "Apache-2.0", WIDTH, Modality.IMAGE
    hash = space = "0" * 64
    lag = 0

    def __init__(self, reading: PhotoReading) -> None:
        self.reading, self.prepare, self.read = reading, reading.prepare, reading.read

    def stage(self, prepared: Sequence[Any]) -> Any:
        """As torch encoders do: one array."""
        given: Any = prepared
        return given if isinstance(given, np.ndarray) else np.stack(prepared)

    def launch(self, staged: Any) -> Any:
        """(N, D)"""
        flat = staged.reshape(len(staged), -1)
        return flat[:, :: flat.shape[1] // WIDTH][:, :WIDTH].astype(np.float32)

    def fetch(self, launched: Any) -> FloatMatrix:
        """(N, D)"""
        matrix: FloatMatrix = launched
        return matrix

    def forward(self, prepared: Sequence[Any]) -> FloatMatrix:
        """(N, D)"""
        return self.fetch(self.launch(self.stage(prepared)))

    def encode(self, batch: Sequence[Any]) -> FloatMatrix:
        """(N, D)"""
        return self.forward([self.prepare(one) for one in batch])


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.feeding", description=__doc__)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument(
        "--decoders", type=int, nargs="*", default=[0, os.cpu_count() or 1], help="0 is by threads"
    )
    parser.add_argument("--bare", nargs="*", default=[f"{k}={v}" for k, v in BARE.items()])
    options = parser.parse_args()
    bare = {name: float(rate) for name, _, rate in (one.partition("=") for one in options.bare)}
    encoder, rows, facts = Free(reading()), [], dict[str, Any]()
    for side, copies in SIDES.items():
        with TemporaryDirectory(prefix="coldstart-bench-") as folder:
            home = shop.ingested(Home(Path(folder)))
            if side:
                scale(home, side=side)
            some = photo_paths(home)[:ONE_CORE]
            paths = photo_paths(with_copies(home, copies))
            alone = reading_alone(some)
            label = f"{side or 224} pixels"
            facts[label] = {what: f"{1e6 * took:.0f} µs" for what, took in alone.items()}
            facts[f"processors for a GPU, {label}"] = {
                name: round(OF_BARE * rate * sum(alone.values()), 1) for name, rate in bare.items()
            }
            found: dict[int, list[tuple[float, float]]] = {one: [] for one in options.decoders}
            for _ in range(options.repeats):
                for decoders, turns in found.items():
                    turns.append(fed(home, encoder, len(paths), options.batch, decoders))
            for decoders, turns in found.items():
                took, encoding = (min(turn[place] for turn in turns) for place in (0, 1))
                rows.append(
                    {
                        "photos": label,
                        "read by": f"{decoders} processes" if decoders else "threads",
                        "job, photos/s": round(len(paths) / took, 1),
                        "first batch to last, photos/s": round(
                            (len(paths) - options.batch) / encoding, 1
                        ),
                    }
                )
    results.publish(
        "feeding",
        title="Feeding a model: the extraction job with an encoder that costs nothing",
        rows=rows,
        **facts,
        batch=options.batch,
        repeats=options.repeats,
    )


def reading() -> PhotoReading:
    """As ResNet-50 and EfficientNet-Lite0 want photos."""
    from functools import partial

    from feature_repo.encoders.images import white_squares
    from feature_repo.encoders.photo_reading import Finished

    finish = partial(white_squares, size=INPUT.size)
    return PhotoReading(Finished(finish), finish)


def reading_alone(paths: Sequence[str]) -> dict[str, float]:
    """Seconds of one processor a photo: to hash the file, and to read, decode and resize it."""
    files, read = [Path(path) for path in paths], reading().read
    return {
        "hash": processor_seconds(file_hash, files),
        "read, decode, resize": processor_seconds(read, files),
    }


def processor_seconds(work: Callable[[Path], object], paths: Sequence[Path]) -> float:
    """Of one photo, at best of three turns."""
    work(paths[0])
    took = []
    for _ in range(3):
        began = time.process_time()
        for path in paths:
            work(path)
        took.append((time.process_time() - began) / len(paths))
    return min(took)


def fed(home: Home, encoder: Free, photos: int, batch: int, decoders: int) -> tuple[float, float]:
    """Seconds of the job from nothing, and of it from its first batch to its last."""
    home.feature_table(ITEM_IMAGE_EMBEDDING.name).unlink(missing_ok=True)
    result = extract(
        home=home,
        now=shop.AS_OF,
        image_encoder=encoder,
        text_encoder=None,
        batch_size=batch,
        decoders=decoders,
    )
    if result.encoded != photos:
        raise RuntimeError(f"the job encoded {result.encoded} of {photos} photos")
    return result.seconds, result.modalities["image"].pace.from_first_to_last


if __name__ == "__main__":
    main()
