"""How well the gate finds planted defects, and how fast it is: ``make bench-gate``.

Every kind of defect is planted in rows of its own among sound generated listings, events and
vectors. Recall is the share of the planted rows that fail the kind's check; precision the share
of the rows failing that check that were planted. Sound rows that are blocked are counted too.
"""

import argparse
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd

from benchmarks import defects, plain_gate, results, shop
from benchmarks.defects import BANNED, Bench, Defect
from feature_repo.catalogs import marketplace, table
from feature_repo.catalogs.marketplace import MarketplaceSize
from validation import gate, reasons, tables
from validation.photos import inspect_all
from validation.result import GateResult
from validation.rules import Rules
from validation.vectors import FloatMatrix

SIZE: Final = MarketplaceSize(
    users=150, home_listings=960, source_listings=120, weeks=12, sessions=10.0
)
NEEDED: Final = [tables.IMAGE_PATH, tables.PRICE, tables.CURRENCY, tables.CATEGORY]
"""What a row must have for every kind of defect to be planted in it."""
LARGE_SIDE: Final = 1_200
LARGE_PHOTOS: Final = 200
ORIGINALS: Final = 60
"""Rows of a batch that copies are taken of."""
WORDS: Final = ("sturdy", "piece", "for", "every", "room")
"""Numbered, they are different words that still read as English."""
RULES: Final = Rules(banned=BANNED)
WIDTH: Final = 24
ENCODER: Final = "encoder-1"


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="marketplaces to plant in")
    parser.add_argument("--clean", type=Path, help="a table:DIR of sound listings to count in")
    parser.add_argument("--rows", type=int, default=100_000, help="listings of the speed test")
    options = parser.parse_args()
    found: dict[tuple[str, str], list[tuple[int, int, int]]] = defaultdict(list)
    severities: dict[str, str] = {}
    sound = blocked = 0
    for seed in range(options.seeds):
        with TemporaryDirectory(prefix="coldstart-bench-") as folder:
            for table_name, planted, kinds, result in batches(Path(folder), seed=seed):
                failing = rows_by_check(result)
                severities.update(result.severities)
                for kind in kinds:
                    rows = planted[kind.name]
                    failed = failing.get(kind.check, set())
                    others = set().union(*(planted[k.name] for k in kinds if k.check == kind.check))
                    found[table_name, kind.name].append(
                        (len(rows), len(rows & failed), len(failed - others - copied(kind)))
                    )
                touched = set().union(*planted.values())
                sound += result.received - len(touched)
                blocked += len(set(result.quarantined[reasons.ROW_NUMBER]) - touched)
    clean = clean_rates(options.clean) if options.clean else {}
    checks = {(where, kind.name): kind.check for where, kinds in KINDS.items() for kind in kinds}
    results.publish(
        "gate",
        title=f"Planted defects, {len(found)} kinds, {options.seeds} generated marketplaces",
        rows=[
            {
                "table": where,
                "defect": name,
                "check": checks[where, name],
                "severity": severities.get(checks[where, name], "never failed"),
                **_rates(counts),
            }
            for (where, name), counts in found.items()
        ],
        sound_rows=sound,
        sound_rows_blocked=blocked,
        clean=clean,
        photo_ratio=photo_ratio(),
        tabular=tabular_ratio(options.rows),
    )


COMPARED: Final = ("text_unlike_others", "photo_unlike_others")
KINDS: Final[dict[str, Sequence[Defect]]] = {
    "items": defects.VALUES,
    "photos": defects.PHOTOS,
    "events": defects.EVENTS,
    "vectors": defects.VECTORS,
}


Batch = tuple[str, dict[str, set[int]], Sequence[Defect], GateResult]
"""A table, its planted rows by kind, the kinds, and what the gate made of it."""


def batches(folder: Path, *, seed: int) -> list[Batch]:
    """One batch a table."""
    data = marketplace.read(photos=folder / "photos", as_of=shop.AS_OF, seed=seed, size=SIZE)
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(data.items))
    half = len(order) // 2
    known = data.items.iloc[order[:half]]
    first = gate.check_items(known, known_items=None, now=shop.AS_OF)
    fresh = data.items.iloc[order[half:]].dropna(subset=NEEDED)
    fresh = fresh.assign(**{tables.SOURCE: "feed"}).reset_index(drop=True)
    accepted = first.accepted.dropna(subset=NEEDED)
    bench = Bench(folder / "planted", accepted, fresh.iloc[:ORIGINALS], generator)
    bench.folder.mkdir()
    done: list[Batch] = []
    for where in ("items", "photos"):
        kinds, photos = KINDS[where], where == "photos"
        batch, planted = plant(fresh, kinds, bench)
        done.append(
            (
                where,
                planted,
                kinds,
                gate.check_items(
                    batch,
                    known_items=first.accepted,
                    known_photos=first.fingerprints,
                    photos=photos,
                    rules=RULES,
                    now=shop.AS_OF,
                ),
            )
        )
    log = data.events.sample(600, random_state=seed).reset_index(drop=True)
    log = log.assign(**{tables.EVENT_ID: [f"e{row}" for row in range(len(log))]})
    log = log.reindex(columns=tables.EVENTS.names)
    batch, planted = plant(log, defects.EVENTS, bench)
    events = gate.check_events(
        batch, known_item_ids=set(data.items[tables.ITEM_ID]), now=shop.AS_OF
    )
    done.append(("events", planted, defects.EVENTS, events))
    return [*done, _vectors(generator, bench)]


def _vectors(generator: np.random.Generator, bench: Bench) -> Batch:
    centres = generator.normal(0, 1, (10, WIDTH))
    drawn = centres[generator.integers(0, 10, 1_500)] + generator.normal(0, 0.2, (1_500, WIDTH))
    vectors: FloatMatrix = drawn.astype(np.float32)
    frame = pd.DataFrame(
        {
            tables.ITEM_ID: [f"v{row}" for row in range(500)],
            "embedding": list(vectors[:500]),
            "encoder_hash": ENCODER,
        }
    )
    batch, planted = plant(frame, defects.VECTORS, bench)
    result = gate.check_embeddings(
        batch, width=WIDTH, now=shop.AS_OF, encoder_hash=ENCODER, reference=vectors[500:]
    )
    return "vectors", planted, defects.VECTORS, result


def plant(
    sound: pd.DataFrame, kinds: Sequence[Defect], bench: Bench
) -> tuple[pd.DataFrame, dict[str, set[int]]]:
    """The batch with every kind in rows of its own; the first ORIGINALS rows stay sound."""
    frame = sound.astype(object)
    free = iter((ORIGINALS + bench.generator.permutation(len(frame) - ORIGINALS)).tolist())
    planted: dict[str, set[int]] = {}
    for kind in kinds:
        planted[kind.name] = {next(free) for _ in range(kind.rows)}
        for row in planted[kind.name]:
            changed: dict[str, Any] = dict(kind.change(_row(sound, row), bench))
            for name, value in changed.items():
                frame.at[row, name] = value
    return frame, planted


def _row(frame: pd.DataFrame, number: int) -> defects.Row:
    values = frame.iloc[number]
    return dict(zip(map(str, values.index), values.tolist(), strict=True))


def copied(kind: Defect) -> set[int]:
    """Rows that fail a comparison by right, because a planted one is their copy."""
    return set(range(ORIGINALS)) if kind.check in COMPARED else set()


def rows_by_check(result: GateResult) -> dict[str, set[int]]:
    """Check → numbers of the rows that failed it."""
    failing: dict[str, set[int]] = defaultdict(set)
    for frame in (result.quarantined, result.warnings):
        for row, checks in zip(frame[reasons.ROW_NUMBER], frame[reasons.CHECKS], strict=True):
            for check in checks:
                failing[check].add(int(row))
    return failing


def clean_rates(folder: Path) -> dict[str, Any]:
    """What the gate says of listings that are known to be sound."""
    data = table.read(folder)
    result = gate.check_items(data.items, known_items=None, now=shop.AS_OF, source="clean")
    return {
        "rows": result.received,
        "blocked": len(result.quarantined),
        "warned of": len(result.warnings),
        "checks": result.reason_counts,
    }


def tabular_ratio(count: int, repeats: int = 2) -> dict[str, float | int]:
    """Time of the tabular checks over that of the same rules written plainly in pandas."""
    items = listings(count)
    gate.check_items(items.head(10), known_items=None, photos=False, now=shop.AS_OF)
    plain = min(
        results.seconds(lambda: plain_gate.failing_rows(items, now=shop.AS_OF))
        for _ in range(repeats)
    )
    checked = min(
        results.seconds(
            lambda: gate.check_items(items, known_items=None, photos=False, now=shop.AS_OF)
        )
        for _ in range(repeats)
    )
    return {
        "rows": count,
        "gate_seconds": round(checked, 2),
        "pandas_seconds": round(plain, 2),
        "ratio": round(checked / plain, 2),
    }


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


def photo_ratio() -> dict[str, float]:
    """Speed of the photo checks over that of decoding the same photos in as many threads."""
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        data = marketplace.read(photos=Path(folder), as_of=shop.AS_OF, seed=0, size=shop.SIZE)
        paths = data.items[tables.IMAGE_PATH].dropna().tolist()
        as_generated = _photo_ratio(paths)
        large = [enlarged(path, LARGE_SIDE) for path in paths[:LARGE_PHOTOS]]
        return {"as generated": as_generated, f"{LARGE_SIDE} px": _photo_ratio(large)}


def _photo_ratio(paths: Sequence[str], repeats: int = 3) -> float:
    bare = min(results.seconds(lambda: decode_all(paths)) for _ in range(repeats))
    checks = min(results.seconds(lambda: inspect_all(paths)) for _ in range(repeats))
    return round(bare / checks, 3)


def enlarged(path: str, side: int) -> str:
    """The photo in place, as large as a shop's."""
    from PIL import Image

    with Image.open(path) as photo:
        photo.convert("RGB").resize((side, side)).save(path, "JPEG", quality=90)
    return path


def decode_all(paths: Sequence[str]) -> None:
    """Decode every photo as the checks do, and nothing else."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    from PIL import Image

    from validation.photos import DECODED_PIXELS

    def decode(path: str) -> None:
        with Image.open(path) as photo:
            photo.draft("RGB", DECODED_PIXELS)
            photo.load()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(decode, paths))


def _rates(counts: Sequence[tuple[int, int, int]]) -> dict[str, float | int]:
    planted, hit, false = (sum(column) for column in zip(*counts, strict=True))
    return {
        "planted": planted,
        "recall": round(hit / planted, 3),
        "precision": round(hit / (hit + false), 3) if hit + false else 0.0,
    }


if __name__ == "__main__":
    main()
