"""What a step of training costs as the log grows, and a real shop's whole training.

``make bench-training``. A shop of a fixed number of listings is generated with logs of growing
length (generated data), its features are made, and `train` and `meta-train` take a fixed number of
steps on each, every job in a process of its own, so that its largest memory is its own. Making ten
million events and their features takes far longer than the steps: with ``--shops DIR`` the shops
stay there and are not made again. With ``--data DIR`` that holds `online_retail_dev_y1`,
`pretrain`, `train` and `meta-train` run on it as a user runs them.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np

from benchmarks import results
from benchmarks.apart import apart
from benchmarks.extraction_memory import TinyEncoder
from benchmarks.generated_shop import AS_OF, LISTINGS, write_shop
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

SIZES: Final = (100_000, 1_000_000, 10_000_000)
READY: Final = "ready-for-benchmark.txt"
"""Written once a shop and its features are whole."""
STEPS: Final = 60
SHOP: Final = "online_retail_dev_y1"
MOST_MINUTES, MOST_MB = 10, 2_048


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.training", description=__doc__)
    parser.add_argument("--events", type=int, nargs="+", default=SIZES)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--data", type=Path, help=f"a folder that holds {SHOP}")
    parser.add_argument("--shops", type=Path, help="where generated shops stay, to be taken again")
    parser.add_argument("--only-make", action="store_true", help="make the shops, measure nothing")
    options = parser.parse_args()
    if options.only_make and options.shops is None:
        parser.error("--only-make needs --shops, a folder for what it makes")
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        shops = options.shops or Path(folder)
        homes = {events: made(shops, events) for events in options.events}
        if options.only_make:
            return
        rows = [row for size, home in homes.items() for row in grown(home, size, options.steps)]
    results.publish(
        "training",
        title=f"Training on generated logs, {LISTINGS} listings, {options.steps} steps a stage",
        rows=rows,
        growth=growth(rows),
        **real_shop(options.data),
    )


def grown(home: Home, events: int, steps: int) -> list[dict[str, Any]]:
    """A row a stage, on a log of so many events."""
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
    """Of each measure from the smallest log to the largest, by stage; none of one log alone."""
    found = {}
    for stage in dict.fromkeys(row["stage"] for row in rows):
        ours = [row for row in rows if row["stage"] == stage]
        if len(ours) < 2:
            continue
        for measure in ("events", "ms a step", "seconds", "MB"):
            found[f"{stage}: {measure}"] = round(ours[-1][measure] / ours[0][measure], 2)
    return found


def run(job: Callable[..., Any], home: Home, schedule: Schedule) -> Cost:
    """What one job cost, from its first step on. Raises RuntimeError where it took others."""
    shutil.rmtree(home.checkpoints, ignore_errors=True)
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


def made(shops: Path, events: int) -> Home:
    """The generated shop of so many events, made with its features where it is not there."""
    home = Home((shops / f"events-{events}").resolve())
    ready = home.root / READY
    if not ready.exists():
        console.say(f"{events} events: making the shop took {apart(partial(make, home, events))}")
        ready.write_text(f"{events}\n", encoding="utf-8")
    return home


def make(home: Home, events: int) -> str:
    """Generate a shop and make its features; how long that took, and its largest memory."""
    began = time.monotonic()
    write_shop(home, events, generator=np.random.default_rng(0))
    encoder = TinyEncoder(Modality.TEXT)
    extract(home=home, now=AS_OF, image_encoder=None, text_encoder=encoder)
    aggregate(home=home, now=AS_OF)
    Store(home).apply()
    return f"{time.monotonic() - began:.0f} s and {peak_mb():,.0f} MB"


if __name__ == "__main__":
    main()
