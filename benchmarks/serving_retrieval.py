"""The best of very many listings: how late, how complete, in what memory, how soon after a start.

    python -m benchmarks.serving_retrieval HOME LISTINGS [--users 12] [--calls 120]

prints JSON. HOME holds a trained shop; `benchmarks.serving_many` makes a state folder of so many
listings of it under FOLDER. The service is started on that folder, from vectors that are not in the
system's memory yet. Then, in one process and on one thread, as a worker answers: people of four
kinds ask for the best twenty, and what is found of their best hundred is compared with scoring
every listing exactly. Some listings have learned from first customers.
"""

import argparse
import json
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import pandas as pd
import psutil  # type: ignore[import-untyped]
import torch

from benchmarks import results
from benchmarks.serving_many import forget, hold_online, stocked
from benchmarks.serving_processes import served
from coldstart_models.person import Person
from coldstart_models.recommending import Recommender
from coldstart_models.siamese.places import shared_out
from coldstart_models.snapshot import Snapshot
from coldstart_models.user_history import UserHistory
from feature_repo.home import Home
from validation import tables

K: Final = 20
RECALLED: Final = 100
BLOCK: Final = 20_000
MIB: Final = 1024**2
KINDS: Final = {
    "50 at random": (50, False),
    "5 at random": (5, False),
    "200 at random": (200, False),
    "30 of a category": (30, True),
}
"""Kind of person → how many listings they chose, and whether all of one category."""
TAUGHT: Final = 500
"""Listings that learned from first customers."""
CUSTOMERS: Final = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving_retrieval", description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("listings", type=int)
    parser.add_argument("--users", type=int, default=12, help="of whom recall is measured")
    parser.add_argument("--calls", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0, help="of the people")
    parser.add_argument("--folder", type=Path, help="for the listings, removed afterwards")
    parser.add_argument("--no-service", action="store_true", help="do not start the service")
    options = parser.parse_args()
    torch.set_num_threads(1)
    home = Home(options.home.resolve())
    with TemporaryDirectory(dir=options.folder or home.root.parent, prefix="many-") as folder:
        small = Recommender.load(home)
        many = stocked(home, small._snapshot, Path(folder) / "home", count=options.listings)
        told: dict[str, Any] = {"listings": options.listings}
        if not options.no_service:
            told |= started(many, Path(folder) / "service.log")
        told |= measured(many, users=options.users, calls=options.calls, seed=options.seed)
    print(json.dumps(told))


def started(many: Home, log: Path) -> dict[str, Any]:
    """How long the service takes until it is ready, and what memory it then has for itself.

    Its seconds of processors tell what a start takes also where others take some of them.
    """
    os.environ["COLDSTART_HOME"] = str(many.root)
    hold_online(many)
    forget(many)
    began = time.perf_counter()
    with served(many, log) as (_, pid):
        taken = time.perf_counter() - began
        top = psutil.Process(pid)
        processes = [top, *top.children(recursive=True)]
        own = sum(anonymous(one.pid) for one in processes)
        worked = sum(sum(one.cpu_times()[:2]) for one in processes)
    return {
        "service_ready_s": round(taken, 1),
        "service_cpu_s": round(worked, 1),
        "service_mib": round(own / MIB),
    }


def measured(many: Home, *, users: int, calls: int, seed: int) -> dict[str, Any]:
    """What is found of the listings of a state folder."""
    before = anonymous()
    began = time.perf_counter()
    large = Recommender.load(many)
    loaded = time.perf_counter() - began
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(users)]
    people = [
        history(large._snapshot, kind, seed=1_000 * seed + number)
        for number, kind in enumerate(kinds)
    ]
    teach(large, seed)
    large.recommend(people[0], k=K, pool="all")
    taken = [
        1000.0
        * results.seconds(lambda one=people[call % users]: large.recommend(one, k=K, pool="all"))  # type: ignore[misc]
        for call in range(calls)
    ]
    held = anonymous() - before
    shares, lifted = dict[str, list[float]](), 0
    for kind, one in zip(kinds, people, strict=True):
        found = large.recommend(one, k=RECALLED, pool="all")
        expected = exactly(large, one)
        shares.setdefault(kind, []).append(len({item.item_id for item in found} & expected))
        lifted += sum(large.support(item_id) > 0 for item_id in expected)
    sketch = large._snapshot.sketch
    every = [share for of_kind in shares.values() for share in of_kind]
    return {
        "recall_at_100": round(float(np.mean(every)) / RECALLED, 4),
        "least_recall": round(min(every) / RECALLED, 2),
        "recall_of_people": {
            kind: round(float(np.mean(found)) / RECALLED, 4) for kind, found in shares.items()
        },
        "users": users,
        "taught_of_the_best": round(lifted / (users * RECALLED), 3),
        **{name.replace(" ", "_"): value for name, value in results.quantiles(taken).items()},
        "threads": torch.get_num_threads(),
        "load_s": round(loaded, 1),
        "mapped_vectors_mib": round(large._snapshot.rows.nbytes / MIB),
        "sketch_mib": round(sketch.nbytes / MIB) if sketch else 0,
        "own_mib": round(held / MIB),
    }


def history(snapshot: Snapshot, kind: str, *, seed: int) -> UserHistory:
    """A person who chose some listings: anywhere, or within a category."""
    generator = np.random.default_rng(seed)
    count, alike = KINDS[kind]
    pool = np.arange(len(snapshot.items))
    if alike:
        numbers, _ = snapshot.categories
        pool = np.flatnonzero(numbers == numbers[generator.integers(len(numbers))])
    chosen = generator.choice(pool, count, replace=False)
    days = pd.date_range("2026-01-01", periods=count, tz="UTC").to_pydatetime()
    ids = tuple(map(str, snapshot.item_ids[chosen]))
    return UserHistory(ids, (tables.PURCHASE,) * count, tuple(days))


def teach(large: Recommender, seed: int) -> None:
    """Let some listings learn from customers who like their category."""
    generator = np.random.default_rng(seed)
    ids = large._snapshot.item_ids
    for number, row in enumerate(generator.choice(len(ids), TAUGHT, replace=False).tolist()):
        customers = [
            history(large._snapshot, list(KINDS)[(number + one) % len(KINDS)], seed=row + one)
            for one in range(CUSTOMERS)
        ]
        large.adapt(str(ids[row]), customers, moments=[0.0] * CUSTOMERS)


def exactly(large: Recommender, given: UserHistory) -> set[str]:
    """Ids of the best hundred, by the exact score of every listing that may be shown."""
    snapshot, scoring = large._snapshot, large._scoring
    offered = np.flatnonzero(snapshot.target & snapshot.available)
    plain, lifted = np.empty(len(offered), np.float32), np.empty(len(offered), np.float32)
    for first in range(0, len(offered), BLOCK):
        rows = offered[first : first + BLOCK]
        person = Person.of(scoring.scorer, snapshot, given, rows)
        assert person is not None
        run = slice(first, first + len(rows))
        plain[run] = lifted[run] = scoring.summed(person, None, personal=None)
        added, held = snapshot.learned.added(rows, person.past.centred(scoring.population_mean))
        plain[run][held] -= added.numpy()
    new = torch.from_numpy(snapshot.new[offered])
    shared = shared_out(torch.from_numpy(plain)[None], torch.from_numpy(lifted)[None], new)
    best = np.argsort(-shared[0].numpy(), kind="stable")[:RECALLED]
    return set(snapshot.item_ids[offered[best]])


def anonymous(pid: int | None = None) -> int:
    """Bytes of a process, None: this one, that are no file's: what mapping a file does not take."""
    told = Path(f"/proc/{pid or 'self'}/smaps_rollup").read_text(encoding="utf-8")
    kilobytes = next(line for line in told.splitlines() if line.startswith("Anonymous:"))
    return 1024 * int(kilobytes.split()[1])


if __name__ == "__main__":
    main()
