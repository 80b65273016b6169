"""How much memory an extraction takes, by the number of listings: ``make bench-extraction_memory``.

Listings are generated, each with a text of its own and a link to one of some generated photos, and
encoders are tiny, so that what is measured is the job. `python -m benchmarks.extraction_memory
LISTINGS` extracts once, adds a hundredth and extracts again, and prints what it took: a process a
size, because memory once taken is not given back.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks import results, shop
from benchmarks.gate_speed import highest_megabytes
from benchmarks.generated_shop import canonical
from feature_repo.encoders.encoder import FloatMatrix, Modality
from feature_repo.home import Home
from feature_repo.jobs.extract import ExtractResult, extract
from validation import tables

SIZES: Final = (10_000, 100_000, 1_000_000)
PHOTOS: Final = 500
WIDTH: Final = 32
BATCH: Final = 64
ROWS: Final = 10_000
"""Listings that are generated at once."""


class TinyEncoder:
    """Sums of a photo's blocks of pixels, or how often a text has each of some bytes."""

    licence = "Apache-2.0"
    width = WIDTH

    def __init__(self, modality: Modality) -> None:
        self.modality, self.id = modality, f"tiny-{modality}"
        self.hash = self.space = f"tiny-{modality}".ljust(64, "0")

    def prepare(self, content: Any) -> Any:
        """(WIDTH,)"""
        if self.modality is Modality.TEXT:
            counts = np.bincount(np.frombuffer(content.encode(), np.uint8) % WIDTH)
            return np.pad(counts, (0, WIDTH - len(counts))).astype(np.float32)
        pixels = np.asarray(content, np.float32).reshape(WIDTH, -1)
        return pixels.mean(axis=1)

    def forward(self, prepared: Sequence[Any]) -> FloatMatrix:
        """(N, WIDTH)"""
        return np.stack(prepared) if len(prepared) else np.zeros((0, WIDTH), np.float32)

    def encode(self, batch: Sequence[Any]) -> FloatMatrix:
        """(N, WIDTH)"""
        return self.forward([self.prepare(content) for content in batch])


def main() -> None:
    """Extract so many listings, or measure all sizes and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.extraction_memory", description=__doc__)
    parser.add_argument("listings", type=int, nargs="?", help="one size, in this process")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    options = parser.parse_args()
    if options.listings is not None:
        print(json.dumps(measured(options.listings)))
        return
    rows = [in_a_process(count) for count in options.sizes]
    results.publish(
        "extraction_memory",
        title=f"Extraction of generated listings, {PHOTOS} photos, tiny encoders",
        rows=rows,
        growth=round(rows[-1]["MB"] / rows[0]["MB"], 2),
        width=WIDTH,
        batch=BATCH,
    )


def in_a_process(count: int) -> dict[str, Any]:
    """`measured` in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.extraction_memory", str(count)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def measured(count: int) -> dict[str, Any]:
    """Extract from nothing, then a hundredth more; raises RuntimeError where one is not encoded."""
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = Home(Path(folder))
        write_catalogue(home, count)
        before = highest_megabytes()
        first = _extracted(home)
        more = count + count // 100
        write_catalogue(home, more)
        second = _extracted(home)
        for result, expected in ((first, count), (second, more - count)):
            for one in result.modalities.values():
                if one.encoded != expected:
                    raise RuntimeError(f"{one.encoded} of {expected} listings were encoded")
        return {
            "listings": count,
            "MB": highest_megabytes(),
            "MB before": before,
            "seconds": round(first.seconds, 1),
            "seconds, 1 % more": round(second.seconds, 1),
        }


def write_catalogue(home: Home, count: int) -> None:
    """Listings 0 … count in the state folder, in an order that is not that of their ids."""
    photos = [_photo(home.photos / f"{number}.jpg", seed=number) for number in range(PHOTOS)]
    home.items.parent.mkdir(parents=True, exist_ok=True)
    with pq.ParquetWriter(home.items, tables.ITEMS.schema, compression="zstd") as writer:
        for part in _listings(count, photos):
            writer.write_table(part)


def _listings(count: int, photos: Sequence[str]) -> Iterator[pa.Table]:
    for first in range(0, count, ROWS):
        numbers = range(first, min(first + ROWS, count))
        # A number's digits turned round are as many others', spread over all.
        ids = [f"i{str(number)[::-1]}-{number}" for number in numbers]
        columns = {
            tables.ITEM_ID: ids,
            tables.TITLE: [f"lamp of oak, number {number}" for number in numbers],
            tables.DESCRIPTION: [f"{number * 7919 % 100_003} " * 20 for number in numbers],
            tables.IMAGE_PATH: [photos[number % len(photos)] for number in numbers],
            tables.SOURCE: ["generated"] * len(numbers),
        }
        yield canonical(columns, tables.ITEMS, rows=len(numbers))


def _photo(path: Path, *, seed: int) -> str:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return str(path)


def _extracted(home: Home) -> ExtractResult:
    return extract(
        home=home,
        now=shop.AS_OF,
        image_encoder=TinyEncoder(Modality.IMAGE),
        text_encoder=TinyEncoder(Modality.TEXT),
        batch_size=BATCH,
    )


if __name__ == "__main__":
    main()
