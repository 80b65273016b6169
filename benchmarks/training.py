"""What a step of training costs as the log grows, and a real shop's whole training.

``make bench-training``. A shop of a fixed number of listings is generated with logs of growing
length (generated data), its features are made, and `train` and `meta-train` take a fixed number of
steps on each, every job in a process of its own, so that its largest memory is its own. With
``--data DIR`` that holds `online_retail_dev_y1`, `pretrain`, `train` and `meta-train` run on it as
a user runs them.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks import results
from benchmarks.extraction_memory import TinyEncoder
from coldstart_models.commands import console
from coldstart_models.general.pretraining_job import pretrain_job, store_name
from coldstart_models.learning_costs import Cost, peak_mb
from coldstart_models.siamese.stages import META_SCHEDULE
from coldstart_models.siamese.training import Schedule
from coldstart_models.training_job import meta_train_job, read_training_set, train_job
from feature_repo.encoders.encoder import Modality
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.extract import extract
from feature_repo.store import Store
from validation import tables

AS_OF: Final = datetime(2026, 6, 1, tzinfo=UTC)
SIZES: Final = (100_000, 1_000_000)
STEPS: Final = 60
LISTINGS: Final = 2_000
CATEGORIES: Final = 40
EVENTS_A_USER: Final = 50
DAYS: Final = 180
AT_HOME: Final = 0.6
"""Share of a person's choices in their own category."""
KINDS: Final = {
    tables.IMPRESSION: 0.4,
    tables.CLICK: 0.4,
    tables.CART: 0.1,
    tables.PURCHASE: 0.1,
}
SHOP: Final = "online_retail_dev_y1"
MOST_MINUTES, MOST_MB = 10, 2_048
T = TypeVar("T")


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.training", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--data", type=Path, help=f"a folder that holds {SHOP}")
    options = parser.parse_args()
    rows = [row for events in options.events for row in grown(events, steps=options.steps)]
    results.publish(
        "training",
        title=f"Training on generated logs, {LISTINGS} listings, {options.steps} steps a stage",
        rows=rows,
        growth=growth(rows),
        **real_shop(options.data),
    )


def grown(events: int, *, steps: int) -> list[dict[str, Any]]:
    """A row a stage, on a log of so many events."""
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        home = Home(Path(folder))
        apart(partial(made, home, events))
        read = apart(partial(reading, home))
        rows = []
        for stage, job in (("train", train_job), ("meta-train", meta_train_job)):
            schedule = META_SCHEDULE if stage == "meta-train" else Schedule()
            schedule = replace(schedule, steps=steps, check_every=20, patience=steps)
            cost = apart(partial(run, job, home, schedule))
            console.say(f"{events} events, {stage}: {cost}")
            rows.append(
                {
                    "events": events,
                    "stage": stage,
                    "ms a step": round(1000 / cost.steps_per_second, 1),
                    "seconds": round(cost.wall_seconds, 1),
                    "MB": round(cost.peak_mb),
                    "MB to read the log": round(read),
                }
            )
    return rows


def growth(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Of each measure from the smallest log to the largest, by stage."""
    found = {}
    for stage in dict.fromkeys(row["stage"] for row in rows):
        ours = [row for row in rows if row["stage"] == stage]
        for measure in ("events", "ms a step", "seconds", "MB"):
            found[f"{stage}: {measure}"] = round(ours[-1][measure] / ours[0][measure], 2)
    return found


def run(job: Callable[..., Any], home: Home, schedule: Schedule) -> Cost:
    """What one job cost. Raises RuntimeError where it took no step."""
    cost: Cost = job(home=home, now=AS_OF, schedule=schedule).cost
    if cost.steps != schedule.steps:
        raise RuntimeError(f"{cost.steps} of {schedule.steps} steps were taken")
    return cost


def reading(home: Home) -> float:
    """MB of a process that has read the log and the catalogue, and not learned."""
    read_training_set(home)
    return peak_mb()


def real_shop(data: Path | None) -> dict[str, Any]:
    """Minutes and MB of a real shop's training; why it is left out where it is."""
    if data is None or not (data / SHOP).is_dir():
        where = "no --data was given" if data is None else f"{data} does not hold it"
        return {f"{SHOP}, left out": where}
    spec = f"table:{data / SHOP}"
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        workdir = Path(folder)
        home = Home((workdir / store_name(spec)).resolve())
        costs = {}
        # The first time reads, gates and encodes the shop; what is told is the second.
        for _ in range(2):
            costs["pretrain"] = apart(partial(general, spec, workdir))
        apart(partial(with_features, home))
        for stage, job in (("train", train_job), ("meta-train", meta_train_job)):
            costs[stage] = apart(partial(usual, job, home))
        for stage, cost in costs.items():
            console.say(f"{SHOP}, {stage}: {cost}")
    whole = sum(cost.wall_seconds for cost in costs.values()) / 60
    most = max(cost.peak_mb for cost in costs.values())
    return {
        SHOP: {
            **{
                f"{stage}:": f"{cost.wall_seconds:.1f} s, {cost.processor_seconds:.1f} processor "
                f"seconds, {cost.peak_mb:,.0f} MB, {cost.steps} steps, "
                f"{cost.steps_per_second:.2f} a second"
                for stage, cost in costs.items()
            },
            "minutes in all": round(whole, 2),
            "MB at most": round(most),
            f"within {MOST_MINUTES} minutes and {MOST_MB} MB": str(
                whole <= MOST_MINUTES and most <= MOST_MB
            ),
        }
    }


def general(spec: str, workdir: Path) -> Cost:
    """Of `pretrain` on the shop."""
    _, cost = pretrain_job([spec], out=workdir / "general", now=datetime.now(UTC), workdir=workdir)
    return cost


def usual(job: Callable[..., Any], home: Home) -> Cost:
    """Of a job with its own schedule."""
    cost: Cost = job(home=home, now=datetime.now(UTC)).cost
    return cost


def with_features(home: Home) -> None:
    """Aggregate and register."""
    aggregate(home=home, now=datetime.now(UTC))
    Store(home).apply()


def made(home: Home, events: int) -> None:
    """Generate the shop and make its features."""
    generator = np.random.default_rng(0)
    write_shop(home, events, generator=generator)
    encoder = TinyEncoder(Modality.TEXT)
    extract(home=home, now=AS_OF, image_encoder=None, text_encoder=encoder)
    aggregate(home=home, now=AS_OF)
    Store(home).apply()


def write_shop(home: Home, count: int, *, generator: np.random.Generator) -> None:
    """Listings that come one after another, and people who choose among those that are there."""
    category = np.arange(LISTINGS) % CATEGORIES
    end = int(AS_OF.timestamp() * 1e6)
    begin = end - DAYS * 86_400_000_000
    listed = np.sort(generator.integers(begin, end, LISTINGS))
    listed[: LISTINGS // 4] = begin
    users = max(1, count // EVENTS_A_USER)
    taste = generator.integers(0, CATEGORIES, users)
    moments = np.sort(generator.integers(begin, end, count))
    who = generator.integers(0, users, count)
    wanted = np.where(
        generator.random(count) < AT_HOME, taste[who], generator.integers(0, CATEGORIES, count)
    )
    chosen = np.zeros(count, np.int64)
    for number in range(CATEGORIES):
        items, rows = np.flatnonzero(category == number), np.flatnonzero(wanted == number)
        there = np.searchsorted(listed[items], moments[rows], side="right")
        chosen[rows] = items[(generator.random(len(rows)) ** 2 * there).astype(np.int64)]
    catalogue = {
        tables.ITEM_ID: [f"i{number:05d}" for number in range(LISTINGS)],
        tables.TITLE: [
            f"{_word(number % CATEGORIES)} number {number}" for number in range(LISTINGS)
        ],
        tables.CATEGORY: [f"Home > {_word(number % CATEGORIES)}" for number in range(LISTINGS)],
        tables.PRICE: np.round(generator.gamma(2.0, 40.0, LISTINGS) + 1.0, 2),
        tables.LISTED_AT: pa.array(listed).cast(tables.TIMESTAMP),
        tables.SOURCE: ["generated"] * LISTINGS,
    }
    log = {
        tables.EVENT_ID: [f"e{number}" for number in range(count)],
        tables.USER_ID: np.char.add("u", who.astype(str)).astype(object),
        tables.ITEM_ID: pa.array(catalogue[tables.ITEM_ID]).take(pa.array(chosen)),
        tables.EVENT_TYPE: generator.choice(list(KINDS), count, p=list(KINDS.values())),
        tables.EVENT_TIMESTAMP: pa.array(moments).cast(tables.TIMESTAMP),
        tables.SOURCE: pa.repeat("generated", count),
    }
    for path, table, columns in (
        (home.items, tables.ITEMS, catalogue),
        (home.events, tables.EVENTS, log),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(_table(columns, table), path)


def _word(number: int) -> str:
    """A category's name, of letters that tell it from others."""
    return "".join(chr(ord("a") + (number * step + step) % 26) for step in (3, 5, 7, 11))


def _table(columns: dict[str, Any], table: tables.Table) -> pa.Table:
    rows = len(columns[tables.ITEM_ID])
    arrays = [
        pa.array(columns[field.name], type=field.type)
        if field.name in columns
        else pa.nulls(rows, field.type)
        for field in table.schema
    ]
    return pa.Table.from_arrays(arrays, schema=table.schema)


def apart(work: Callable[[], T]) -> T:
    """The work in a process of its own, whose memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(work).result()


if __name__ == "__main__":
    main()
