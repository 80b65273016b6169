"""Aggregating a generated log, table by table: ``make bench-aggregation``.

Two lengths of log, each in a process of its own that has not drawn the log: seconds should grow
with it, memory should not. The keys grow with the log, as they do in a shop.
"""

import argparse
import resource
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import results
from benchmarks.apart import apart
from benchmarks.generated_shop import AS_OF, DAYS, EVENTS_A_USER, canonical
from feature_repo.home import Home
from feature_repo.jobs.aggregate import AggregateResult, aggregate
from validation import tables

EVENTS_AN_ITEM: Final = 100
CATEGORIES: Final = 20
KINDS: Final = {
    tables.IMPRESSION: 0.7,
    tables.CLICK: 0.2,
    tables.CART: 0.05,
    tables.PURCHASE: 0.04,
    tables.RATING: 0.01,
}


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.aggregation", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=[250_000, 1_000_000])
    options = parser.parse_args()
    measured = [_measured(events) for events in options.events]
    results.publish(
        "aggregation",
        title="Aggregation of a generated log",
        rows=[
            {
                "events": events,
                "table": name,
                "rows": result.rows[name],
                "seconds": round(result.table_seconds[name], 2),
            }
            for events, (result, *_) in zip(options.events, measured, strict=True)
            for name in result.rows
        ],
        seconds=[round(result.seconds, 1) for result, *_ in measured],
        cpu_seconds=[round(cpu, 1) for _, cpu, _ in measured],
        peak_mb=[peak for *_, peak in measured],
    )


def measure(home: Home) -> tuple[AggregateResult, float, int]:
    """What aggregating took, elapsed and on all cores, and the process's largest memory (MB)."""
    began = time.process_time()
    result = aggregate(home=home, now=AS_OF)
    cpu = time.process_time() - began
    return result, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def write_log(home: Home, count: int, *, seed: int = 0) -> None:
    """A catalogue and `count` events in time order; a few items have most of the events."""
    generator = np.random.default_rng(seed)
    users, items = max(1, count // EVENTS_A_USER), max(1, count // EVENTS_AN_ITEM)
    home.items.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.arange(items)
    shop = ["shop"]
    catalogue = {
        tables.ITEM_ID: [f"i{number}" for number in numbers],
        tables.CATEGORY: [f"c{number % CATEGORIES} > x" for number in numbers],
        tables.DOMAIN: [f"d{number % 4}" for number in numbers],
        tables.PRICE: np.round(generator.gamma(2.0, 40.0, items) + 1.0, 2),
        tables.SOURCE: shop * items,
    }
    pq.write_table(canonical(catalogue, tables.ITEMS, rows=items), home.items)
    begin = int((AS_OF.timestamp() - DAYS * 86_400) * 1e6)
    moments = np.sort(generator.integers(begin, int(AS_OF.timestamp() * 1e6), count))
    share = 1.0 / (np.arange(items) + 10.0)
    chosen = generator.choice(items, count, p=share / share.sum())
    kinds = generator.choice(list(KINDS), count, p=list(KINDS.values()))
    log = {
        tables.EVENT_ID: [f"e{number}" for number in range(count)],
        tables.USER_ID: [f"u{number}" for number in generator.integers(0, users, count)],
        tables.ITEM_ID: [f"i{number}" for number in chosen],
        tables.EVENT_TYPE: kinds.tolist(),
        tables.EVENT_TIMESTAMP: pa.array(moments).cast(tables.TIMESTAMP),
        tables.SOURCE: shop * count,
    }
    pq.write_table(canonical(log, tables.EVENTS, rows=count), home.events)


def _measured(events: int) -> tuple[AggregateResult, float, int]:
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = Home(Path(folder))
        apart(partial(write_log, home, events))
        return apart(partial(measure, home))


if __name__ == "__main__":
    main()
