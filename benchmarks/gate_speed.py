"""How fast the gate is and how much memory it takes: parts of ``make bench-gate``.

``python -m benchmarks.gate_speed ROWS`` checks so many generated listings part by part, as a file
is checked, and prints the process's highest resident memory: a process a size, because memory
once taken is not given back.
"""

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pandas as pd
from PIL import Image

from benchmarks import plain_gate, results, shop
from feature_repo.catalogs import marketplace, table
from validation import gate, report, tables
from validation.photos import DECODED_PIXELS, inspect_all
from validation.reference import Reference
from validation.summary import summary_of

LARGE_SIDE: Final = 1_200
LARGE_PHOTOS: Final = 200
WORDS: Final = ("sturdy", "piece", "for", "every", "room")
"""Numbered, they are different words that still read as English."""


def main() -> None:
    """Check and print the highest resident memory in MB."""
    parser = argparse.ArgumentParser(prog="benchmarks.gate_speed", description=__doc__)
    parser.add_argument("rows", type=int, help="listings")
    count = parser.parse_args().rows
    found = summary_of(
        gate.items_in_parts(
            listing_parts(count), reference=Reference.of(), photos=None, now=shop.AS_OF
        )
    )
    if found.accepted != count:
        raise SystemExit(f"{found.accepted} of {count} sound listings were accepted")
    print(highest_megabytes())


def highest_megabytes() -> int:
    """Of this process so far.

    Linux's `ru_maxrss` also counts what the parent had before this program took its place.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
    (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM:"))
    return round(int(line.split()[1]) / 1024)


def memory(counts: Sequence[int]) -> dict[str, int]:
    """Listings → highest resident memory in MB of a process that checks so many."""
    return {
        f"{count:,}": int(
            subprocess.run(
                [sys.executable, "-m", "benchmarks.gate_speed", str(count)],
                check=True,
                capture_output=True,
                text=True,
            ).stdout
        )
        for count in counts
    }


def tabular_ratio(count: int, repeats: int = 2) -> dict[str, float | int]:
    """Time of the tabular checks over that of the same rules written plainly in pandas."""
    items = listings(count)

    def check(rows: pd.DataFrame) -> None:
        parts = gate.slices(rows)
        for _ in gate.items_in_parts(parts, reference=Reference.of(), photos=None, now=shop.AS_OF):
            pass

    check(items.head(10))
    turns = [
        (
            results.seconds(lambda: plain_gate.failing_rows(items, now=shop.AS_OF)),
            results.seconds(lambda: check(items)),
        )
        for _ in range(repeats)
    ]
    plain, checked = (min(side) for side in zip(*turns, strict=True))
    return {
        "rows": count,
        "gate_seconds": round(checked, 2),
        "pandas_seconds": round(plain, 2),
        "ratio": round(checked / plain, 2),
    }


def photo_ratio(clean: Path | None = None) -> dict[str, float]:
    """Speed of the photo checks over that of decoding the same photos in as many threads."""
    ratios: dict[str, float] = {}
    if clean is not None:
        sound = table.read(clean).items[tables.IMAGE_PATH].dropna().tolist()
        ratios[clean.name] = _photo_ratio(sound)
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        data = marketplace.read(photos=Path(folder), as_of=shop.AS_OF, seed=0, size=shop.SIZE)
        paths = data.items[tables.IMAGE_PATH].dropna().tolist()
        ratios["as generated"] = _photo_ratio(paths)
        large = [enlarged(path, LARGE_SIDE) for path in paths[:LARGE_PHOTOS]]
        ratios[f"{LARGE_SIDE} px"] = _photo_ratio(large)
    return ratios


def _photo_ratio(paths: Sequence[str], repeats: int = 9) -> float:
    """The two take turns, so that what else the machine does slows both; the middle turns count.

    Of nine turns of the bare loop over small photos the fastest is a fifth faster than the middle
    one, by luck of the threads; the turns of the checks lie close together.
    """
    bare, checks = [], []
    for _ in range(repeats):
        bare.append(results.seconds(lambda: decode_all(paths)))
        checks.append(results.seconds(lambda: inspect_all(paths)))
    return round(median(bare) / median(checks), 3)


def enlarged(path: str, side: int) -> str:
    """The photo in place, as large as a shop's."""
    with Image.open(path) as photo:
        photo.convert("RGB").resize((side, side)).save(path, "JPEG", quality=90)
    return path


def decode_all(paths: Sequence[str]) -> None:
    """Decode every photo to some DECODED_PIXELS in colour, and nothing else."""

    def decode(path: str) -> None:
        with Image.open(path) as photo:
            photo.draft("RGB", DECODED_PIXELS)
            photo.load()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, paths))


def report_cost(count: int = 100_000) -> dict[str, float | int]:
    """Time and size of the report on so many listings, each with something to mend."""
    parts = (part.assign(**{tables.PRICE: "on request"}) for part in listing_parts(count))
    found = summary_of(
        gate.items_in_parts(parts, reference=Reference.of(), photos=None, now=shop.AS_OF)
    )
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        page = Path(folder) / "report.html"
        seconds = results.seconds(
            lambda: report.write([found], page, title="Data quality", now=shop.AS_OF)
        )
        return {
            "rows": count,
            "seconds": round(seconds, 2),
            "page_kilobytes": round(page.stat().st_size / 1000),
        }


def listing_parts(count: int) -> Iterator[pd.DataFrame]:
    """Sound generated listings without photos, as many a part as the gate judges at once."""
    for first in range(0, count, gate.CHUNK):
        yield listings(min(gate.CHUNK, count - first), first=first)


def listings(count: int, *, first: int = 0) -> pd.DataFrame:
    """Sound generated listings without photos, numbered from `first`."""
    generator = np.random.default_rng(first)
    words = np.array([f"{word}{number}" for number in range(1_000) for word in WORDS], dtype=object)
    titles, descriptions = (
        [" ".join(row) for row in words[generator.integers(0, len(words), (count, length))]]
        for length in (6, 20)
    )
    frame = pd.DataFrame(
        {
            tables.ITEM_ID: [f"i{first + number}" for number in range(count)],
            tables.TITLE: titles,
            tables.DESCRIPTION: descriptions,
            tables.CATEGORY: generator.choice(["Home > Lamps", "Home > Rugs"], count),
            tables.PRICE: np.exp(generator.normal(3, 1, count)).round(2),
            tables.CURRENCY: "EUR",
            tables.ATTRIBUTES: '{"colour": "oak", "width": "40 cm"}',
            tables.LISTED_AT: "2026-01-05T10:00:00Z",
            tables.SOURCE: "shop",
        }
    )
    return frame.astype(object)


if __name__ == "__main__":
    main()
