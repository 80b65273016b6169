"""How well the gate finds planted defects: ``make bench-gate``, which also times it.

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

from benchmarks import defects, results, shop
from benchmarks.defects import BANNED, Bench, Defect
from benchmarks.gate_speed import memory, photo_ratio, report_cost, tabular_ratio
from feature_repo.catalogs import marketplace, table
from feature_repo.catalogs.marketplace import MarketplaceSize
from validation import gate, reasons, tables
from validation.reference import Reference
from validation.result import GateResult
from validation.rules import Rules
from validation.vectors import FloatMatrix

SIZE: Final = MarketplaceSize(
    users=150, home_listings=960, source_listings=120, weeks=12, sessions=10.0
)
NEEDED: Final = [tables.IMAGE_PATH, tables.PRICE, tables.CURRENCY, tables.CATEGORY]
"""What a row must have for every kind of defect to be planted in it."""
ORIGINALS: Final = 60
"""Rows of a batch that copies are taken of."""
RULES: Final = Rules(banned=BANNED)
WIDTH: Final = 24
ENCODER: Final = "encoder-1"
COMPARED: Final = ("text_unlike_others", "photo_unlike_others")
KINDS: Final[dict[str, Sequence[Defect]]] = {
    "items": defects.VALUES,
    "photos": defects.PHOTOS,
    "events": defects.EVENTS,
    "vectors": defects.VECTORS,
}

Batch = tuple[str, dict[str, set[int]], Sequence[Defect], GateResult]
"""A table, its planted rows by kind, the kinds, and what the gate made of it."""
Tally = tuple[int, int, int]
"""Rows that were planted, those that fail the kind's check, and others that fail it as well."""


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.gate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3, help="marketplaces to plant in")
    parser.add_argument("--clean", type=Path, help="a table:DIR of sound listings")
    parser.add_argument("--rows", type=int, default=1_000_000, help="listings of the speed test")
    options = parser.parse_args()
    found: dict[tuple[str, str], list[Tally]] = defaultdict(list)
    severities: dict[str, str] = {}
    sound = blocked = 0
    for seed in range(options.seeds):
        with TemporaryDirectory(prefix="coldstart-bench-") as folder:
            planted_in = batches(Path(folder), seed=seed)
            if options.clean:
                planted_in += real_batches(options.clean, Path(folder) / "real", seed=seed)
            for table_name, planted, kinds, result in planted_in:
                severities.update(result.severities)
                for name, counts in tallied(planted, kinds, result).items():
                    found[table_name, name].append(counts)
                touched = set().union(*planted.values())
                sound += result.received - len(touched)
                blocked += len(set(result.quarantined[reasons.ROW_NUMBER]) - touched)
    clean = clean_rates(options.clean) if options.clean else {}
    checks = {kind.name: kind.check for kinds in KINDS.values() for kind in kinds}
    results.publish(
        "gate",
        title=f"Planted defects, {len(found)} kinds, {options.seeds} generated marketplaces",
        rows=[
            {
                "table": where,
                "defect": name,
                "check": checks[name],
                "severity": severities.get(checks[name], "never failed"),
                **_rates(tallies),
            }
            for (where, name), tallies in found.items()
        ],
        sound_rows=sound,
        sound_rows_blocked=blocked,
        clean=clean,
        photo_ratio=photo_ratio(options.clean),
        tabular=tabular_ratio(options.rows),
        memory_megabytes=memory([10_000, options.rows]),
        report=report_cost(),
    )


def batches(folder: Path, *, seed: int) -> list[Batch]:
    """One batch a table, from a generated marketplace."""
    data = marketplace.read(photos=folder / "photos", as_of=shop.AS_OF, seed=seed, size=SIZE)
    generator = np.random.default_rng(seed)
    bench, done = listing_batches(data.items, folder / "planted", generator)
    log = data.events.sample(600, random_state=seed).reset_index(drop=True)
    log = log.assign(**{tables.EVENT_ID: [f"e{row}" for row in range(len(log))]})
    log = log.reindex(columns=tables.EVENTS.names)
    batch, planted = plant(log, defects.EVENTS, bench)
    events = gate.check_events(
        batch, known_item_ids=set(data.items[tables.ITEM_ID]), now=shop.AS_OF
    )
    done.append(("events", planted, defects.EVENTS, events))
    return [*done, _vectors(generator, bench)]


def listing_batches(
    items: pd.DataFrame, folder: Path, generator: np.random.Generator
) -> tuple[Bench, list[Batch]]:
    """Defects of values and of photos, planted in one half of the items; the other is accepted."""
    order = generator.permutation(len(items))
    half = len(order) // 2
    first = gate.check_items(items.iloc[order[:half]], now=shop.AS_OF)
    fresh = items.iloc[order[half:]].dropna(subset=NEEDED)
    fresh = fresh.assign(**{tables.SOURCE: "feed"}).reset_index(drop=True)
    accepted = first.accepted.dropna(subset=NEEDED)
    bench = Bench(folder, accepted, fresh.iloc[:ORIGINALS], generator)
    bench.folder.mkdir()
    reference = Reference.of(first.accepted, photos=first.fingerprints)
    done: list[Batch] = []
    for where in ("items", "photos"):
        batch, planted = plant(fresh, KINDS[where], bench)
        result = gate.check_items(
            batch, reference=reference, photos=where == "photos", rules=RULES, now=shop.AS_OF
        )
        done.append((where, planted, KINDS[where], result))
    return bench, done


def real_batches(folder: Path, planted: Path, *, seed: int) -> list[Batch]:
    """Defects planted in real listings; a price and a currency are made where there are none."""
    items = table.read(folder).items
    generator = np.random.default_rng(seed)
    made = pd.Series(np.exp(generator.normal(4, 0.5, len(items))).round(2), index=items.index)
    items = items.assign(**{tables.CURRENCY: "EUR", tables.LISTED_AT: None, tables.AVAILABLE: None})
    items[tables.PRICE] = items[tables.PRICE].where(items[tables.PRICE].notna(), made)
    _, done = listing_batches(items, planted, generator)
    return [(f"real {where}", rows, kinds, result) for where, rows, kinds, result in done]


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


def tallied(
    planted: dict[str, set[int]], kinds: Sequence[Defect], result: GateResult
) -> dict[str, Tally]:
    """Kind → its tally in one batch."""
    failing = rows_by_check(result)
    tallies = {}
    for kind in kinds:
        rows, failed = planted[kind.name], failing.get(kind.check, set())
        others = set().union(*(planted[k.name] for k in kinds if k.check == kind.check))
        tallies[kind.name] = (len(rows), len(rows & failed), len(failed - others - copied(kind)))
    return tallies


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


def _rates(counts: Sequence[Tally]) -> dict[str, float | int]:
    planted, hit, false = (sum(column) for column in zip(*counts, strict=True))
    return {
        "planted": planted,
        "recall": round(hit / planted, 3),
        "precision": round(hit / (hit + false), 3) if hit + false else 0.0,
    }


if __name__ == "__main__":
    main()
