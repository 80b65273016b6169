"""How soon an event is a feature: ``make bench-streaming``.

Measured from the call of `take_events` to the answer of an online read that shows the event, in
a log of a million drawn events (popular items are chosen far more often than others). An
append to one Parquet file, as it was before the log had segments, is measured beside. The
processor's time says what the same call costs where nothing else runs.
"""

import argparse
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks import results
from coldstart_models.event_intake import take_events
from coldstart_models.online_histories import read_histories
from feature_repo.event_log import event_log
from feature_repo.feature_tables import create_missing
from feature_repo.home import Home
from feature_repo.jobs.transaction import locked
from feature_repo.log_state import new_generation, write_base
from feature_repo.store import Store
from validation import tables

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
DAYS: Final = 90
ITEMS: Final = 20_000
EVENTS_A_USER: Final = 20
POWER: Final = 0.8
"""Of a rank's popularity: the first of 20,000 items gets 3 % of the events."""
BATCHES: Final = (1, 10, 100)
KINDS: Final = (tables.IMPRESSION, tables.CLICK, tables.CART, tables.PURCHASE)
SHARES: Final = (0.6, 0.3, 0.06, 0.04)
Taken = tuple[float, float]
"""Seconds passed, and seconds of the processor."""


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.streaming", description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000, help="events in the log")
    parser.add_argument("--calls", type=int, default=200, help="batches of each size")
    options = parser.parse_args()
    generator = np.random.default_rng(0)
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = drawn_shop(Home(Path(folder)), options.events, generator)
        store = Store(home)
        store.apply()
        began = perf_counter()
        event_log(home).warm()
        indexing = perf_counter() - began
        rows = []
        for size in BATCHES:
            taken = [
                seconds_until_online(home, store, size, f"b{size}-{call}", generator)
                for call in range(-5, options.calls)
            ]
            rows.append({"what": "take in and read online", "batch": size, **_row(taken[5:])})
        rewritten = [whole_log_rewritten(home, generator, call) for call in range(5)]
        rows.append({"what": "only append, log rewritten", "batch": 1, **_row(rewritten)})
        segments = len(event_log(home).state().segments)
        size_of_index = sum(path.stat().st_size for path in home.event_index.rglob("*.*"))
        results.publish(
            "streaming",
            title=f"From an event to its features, {options.events:,} events in the log",
            rows=rows,
            calls=options.calls,
            log_bytes=home.events.stat().st_size,
            index_bytes=size_of_index,
            index_seconds=round(indexing, 2),
            small_files=segments,
        )


def drawn_shop(home: Home, count: int, generator: np.random.Generator) -> Home:
    """A catalogue and a log of `count` events in time order, as `ingest` would leave them."""
    items = pd.DataFrame(
        {
            tables.ITEM_ID: [f"item-{number:06d}" for number in range(ITEMS)],
            tables.TITLE: [f"Listing {number}" for number in range(ITEMS)],
            tables.CATEGORY: [f"Home > Kind {number % 40}" for number in range(ITEMS)],
            tables.PRICE: np.exp(generator.normal(4, 1, ITEMS)).round(2),
            tables.CURRENCY: "EUR",
            tables.LISTED_AT: pd.Timestamp(START),
            tables.SOURCE: "drawn",
        }
    )
    home.items.parent.mkdir(parents=True)
    pq.write_table(tables.ITEMS.to_arrow(items), home.items)
    log = drawn_events(count, users=max(1, count // EVENTS_A_USER), generator=generator)
    moments = np.sort(generator.integers(0, DAYS * 86_400_000_000, count))
    log[tables.EVENT_TIMESTAMP] = pd.Timestamp(START) + pd.to_timedelta(moments, unit="us")
    log[tables.EVENT_ID] = [f"{number:032x}" for number in range(count)]
    write_base(tables.EVENTS.to_arrow(log), home.events, generation=new_generation())
    create_missing(home)
    return home


def drawn_events(count: int, *, users: int, generator: np.random.Generator) -> pd.DataFrame:
    """Events without ids and times; the chosen items follow a power law."""
    popular = np.arange(1, ITEMS + 1) ** -POWER
    chosen = generator.choice(ITEMS, count, p=popular / popular.sum())
    return pd.DataFrame(
        {
            tables.USER_ID: [f"user-{n:07d}" for n in generator.integers(0, users, count)],
            tables.ITEM_ID: [f"item-{number:06d}" for number in chosen],
            tables.EVENT_TYPE: generator.choice(KINDS, count, p=SHARES),
            tables.SESSION_ID: [f"s{number}" for number in generator.integers(0, 10**6, count)],
            tables.SOURCE: "drawn",
        }
    )


def seconds_until_online(
    home: Home, store: Store, size: int, name: str, generator: np.random.Generator
) -> Taken:
    """From the call until every user's newest event is read online. Raises where one is not."""
    users = event_log(home).state().base_rows // EVENTS_A_USER
    batch = drawn_events(size, users=max(1, users), generator=generator).astype(object)
    batch[tables.EVENT_TYPE] = tables.CLICK
    batch[tables.EVENT_ID] = [f"{name}-{number}" for number in range(size)]
    now = datetime.now(UTC)
    batch[tables.EVENT_TIMESTAMP] = [now - timedelta(microseconds=size - n) for n in range(size)]
    began, worked = perf_counter(), process_time()
    taken = take_events(batch, home=home, store=store, recommender=None, now=now)
    found = read_histories(taken.user_ids, store=store)
    took = perf_counter() - began, process_time() - worked
    newest = batch.groupby(tables.USER_ID)[tables.ITEM_ID].last()
    wrong = [user for user, item in newest.items() if found[str(user)].item_ids[-1] != item]
    if len(taken.accepted) != size or wrong:
        raise RuntimeError(f"{len(taken.accepted)} of {size} accepted; not online: {wrong[:5]}")
    return took


def whole_log_rewritten(home: Home, generator: np.random.Generator, call: int) -> Taken:
    """What an append cost: read the log, look for the ids, write the log. Its result goes."""
    batch = drawn_events(1, users=1, generator=generator)
    batch[tables.EVENT_ID], batch[tables.EVENT_TIMESTAMP] = f"old-{call}", pd.Timestamp(START)
    began, worked = perf_counter(), process_time()
    with locked(home.events.parent, wait=True):
        stored = pq.read_table(home.events, schema=tables.EVENTS.schema)
        ids = pa.array(batch[tables.EVENT_ID], type=pa.string())
        pc.is_in(ids, stored[tables.EVENT_ID])
        together = pa.concat_tables([stored, tables.EVENTS.to_arrow(batch)])
        path = home.events.with_name("rewritten.parquet")
        pq.write_table(together, path, compression="zstd")
    took = perf_counter() - began, process_time() - worked
    path.unlink()
    return took


def _row(taken: list[Taken]) -> dict[str, Any]:
    milliseconds, worked = np.array(taken).T * 1000
    return {
        "p50 ms": round(float(np.median(milliseconds)), 1),
        "p99 ms": round(float(np.percentile(milliseconds, 99)), 1),
        "max ms": round(float(milliseconds.max()), 1),
        "processor p50 ms": round(float(np.median(worked)), 1),
        "processor p99 ms": round(float(np.percentile(worked, 99)), 1),
    }


if __name__ == "__main__":
    main()
