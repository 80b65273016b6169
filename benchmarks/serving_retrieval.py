"""The best twenty of very many listings: how late, how complete, in what memory.

    python -m benchmarks.serving_retrieval HOME LISTINGS [--users 20] [--calls 100]

prints JSON. The listings are made of the vectors of a trained shop: each is a blend of two of them,
turned by noise a modality at a time and kept at its length, so that they are of the shop's kinds.
Recall is measured against scoring every listing exactly.
"""

import argparse
import json
import resource
import time
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks import results
from coldstart_models.person import Person
from coldstart_models.recommending import Recommender
from coldstart_models.snapshot import ITEM_COLUMNS, Snapshot
from coldstart_models.user_history import UserHistory
from feature_repo.home import Home
from validation import tables

K: Final = 20
RECALLED: Final = 100
NOISE: Final = 0.35
"""Length of what turns a vector, beside its own."""
BLOCK: Final = 20_000
EVENTS: Final = 50


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="benchmarks.serving_retrieval", description=__doc__)
    parser.add_argument("home", type=Path)
    parser.add_argument("listings", type=int)
    parser.add_argument("--users", type=int, default=20, help="of whom recall is measured")
    parser.add_argument("--calls", type=int, default=100)
    options = parser.parse_args()
    print(
        json.dumps(
            measured(Home(options.home), options.listings, users=options.users, calls=options.calls)
        )
    )


def measured(home: Home, count: int, *, users: int, calls: int) -> dict[str, Any]:
    """What is found of so many listings; writes their vectors beside the state folder's."""
    small = Recommender.load(home)
    path = home.root / f"vectors-{count}.f32"
    rows = blended(small._snapshot.rows, small._scorer.widths, count=count, path=path)
    began = time.perf_counter()
    snapshot = snapshot_of(small._snapshot, rows)
    large = Recommender(
        tag=small.tag,
        featurizer=small._featurizer,
        head=small._head,
        network=small._network,
        population=small._population,
        snapshot=snapshot,
    )
    people = [history(snapshot, seed) for seed in range(max(users, 1))]
    large.recommend(people[0], k=K, pool="all")
    started = time.perf_counter() - began
    taken = [
        1000.0
        * results.seconds(lambda one=people[call % users]: large.recommend(one, k=K, pool="all"))  # type: ignore[misc]
        for call in range(calls)
    ]
    shares = []
    for one in people[:users]:
        found = large.recommend(one, k=RECALLED, pool="all")
        expected = exactly(large, one)
        shares.append(len({item.item_id for item in found} & expected) / RECALLED)
    sketch = large._snapshot.sketch
    path.unlink()
    return {
        "listings": count,
        "recall_at_100": round(float(np.mean(shares)), 4),
        "least_recall": round(min(shares), 2),
        **{name.replace(" ", "_"): value for name, value in results.quantiles(taken).items()},
        "start_s": round(started, 1),
        "vectors_mib": round(rows.nbytes / 1024**2),
        "sketch_mib": round(sketch.nbytes / 1024**2) if sketch else 0,
        "peak_mib": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def blended(
    rows: npt.NDArray[np.float32], widths: dict[str, int], *, count: int, path: Path
) -> npt.NDArray[np.float32]:
    """(count, D) rows of `item_vector` in a file that is mapped into memory."""
    generator = np.random.default_rng(0)
    made = np.memmap(path, np.float32, "w+", shape=(count, rows.shape[1]))
    for first in range(0, count, BLOCK):
        size = min(BLOCK, count - first)
        one, other = generator.integers(len(rows), size=(2, size))
        share = generator.uniform(0.0, 0.5, (size, 1)).astype(np.float32)
        block = (1 - share) * rows[one] + share * rows[other]
        start = 0
        for width in widths.values():
            own, kept = block[:, start : start + width], rows[one, start : start + width]
            length = np.linalg.norm(kept, axis=1, keepdims=True)
            turn = generator.standard_normal(own.shape, dtype=np.float32) / np.sqrt(width)
            own += NOISE * length * turn
            own *= length / np.maximum(np.linalg.norm(own, axis=1, keepdims=True), 1e-12)
            start += width
        made[first : first + size] = block
    made.flush()
    del made
    return np.asarray(np.memmap(path, np.float32, "c", shape=(count, rows.shape[1])))


def snapshot_of(small: Snapshot, rows: npt.NDArray[np.float32]) -> Snapshot:
    """The listings of the vectors, as new as the shop's own."""
    count = len(rows)
    source = small.items.iloc[np.arange(count) % len(small.items)].reset_index(drop=True)
    source[tables.ITEM_ID] = [f"many-{number:07d}" for number in range(count)]
    return replace(
        small,
        items=source[list(ITEM_COLUMNS)],
        rows=rows,
        new=np.resize(small.new, count),
        deltas=np.zeros((count, rows.shape[1] - 1), np.float32),
        biases=np.zeros(count, np.float32),
        support=np.zeros(count, np.int64),
        sketch=None,
    )


def history(snapshot: Snapshot, seed: int) -> UserHistory:
    """A person who chose some listings at random places: several kinds of things."""
    generator = np.random.default_rng(seed)
    ids = snapshot.item_ids[generator.choice(len(snapshot.items), EVENTS, replace=False)]
    days = pd.date_range("2026-01-01", periods=EVENTS, tz="UTC").to_pydatetime()
    return UserHistory(tuple(map(str, ids)), ("purchase",) * EVENTS, tuple(days))


def exactly(large: Recommender, given: UserHistory) -> set[str]:
    """Ids of the best hundred, by the exact score of every listing that may be shown."""
    snapshot, scored, ids = large._snapshot, [], []
    offered = np.flatnonzero(snapshot.target & snapshot.available)
    for first in range(0, len(offered), BLOCK):
        rows = offered[first : first + BLOCK]
        person = Person.of(large._scorer, snapshot, given, rows)
        assert person is not None
        scores = large._summed(person, rows, person.terms, personal=None)
        best = np.argpartition(scores, -RECALLED)[-RECALLED:]
        scored.append(scores[best])
        ids.append(snapshot.item_ids[rows[best]])
    order = np.argsort(-np.concatenate(scored), kind="stable")[:RECALLED]
    return set(np.concatenate(ids)[order])


if __name__ == "__main__":
    main()
