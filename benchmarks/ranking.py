"""Scoring for one person against the bare matrix product: ``make bench-ranking``.

The bare product compares the person's history with the same candidates in every modality, as
one NumPy product of ready vectors. The recommender does more with them: it builds the profile,
standardises the terms over the reference pool and adds prior and adaptation.
"""

import argparse
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from benchmarks import results, shop
from coldstart_models.recommending import Recommender
from coldstart_models.user_history import UserHistory
from feature_repo.catalogs.marketplace import MarketplaceSize
from feature_repo.home import Home
from validation import tables

CANDIDATES: Final = (100, 500)
HISTORIES: Final = (10, 50, 200)


def main() -> None:
    """Measure and publish."""
    parser = argparse.ArgumentParser(prog="benchmarks.ranking", description=__doc__)
    parser.add_argument("--calls", type=int, default=200)
    options = parser.parse_args()
    with TemporaryDirectory(prefix="coldstart-bench-") as folder:
        recommender, item_ids, vectors = trained(Home(Path(folder)))
    rows = [
        row
        for length in HISTORIES
        for count in CANDIDATES
        for row in measured(
            recommender, item_ids, vectors, length=length, count=count, calls=options.calls
        )
    ]
    bare, scored = (
        next(row["p50 ms"] for row in rows if row["what"] == what and _usual(row))
        for what in ("bare product", "score")
    )
    results.publish(
        "ranking",
        title=f"Ranking among {len(item_ids)} generated listings, {vectors.shape[1]} numbers each",
        rows=rows,
        ratio=round(scored / bare, 1),
        ratio_of="score of 500 candidates by a history of 50, against the bare product",
        calls=options.calls,
    )


def trained(
    home: Home, *, size: MarketplaceSize = shop.SIZE
) -> tuple[Recommender, list[str], npt.NDArray[np.float32]]:
    """A recommender trained on a generated shop, the items it serves and their vectors."""
    from coldstart_models.training_job import train_job
    from feature_repo.jobs.aggregate import aggregate
    from feature_repo.jobs.extract import extract
    from feature_repo.store import Store

    shop.ingested(home, size=size)
    extract(home=home, now=shop.AS_OF)
    aggregate(home=home, now=shop.AS_OF)
    store = Store(home)
    store.apply()
    train_job(home=home, now=shop.AS_OF, seed=0)
    stored = store.vectors("item_vector")
    return (
        Recommender.load(home),
        [str(item_id) for item_id in stored.item_ids],
        np.ascontiguousarray(stored.matrix, dtype=np.float32),
    )


def measured(
    recommender: Recommender,
    item_ids: list[str],
    vectors: npt.NDArray[np.float32],
    *,
    length: int,
    count: int,
    calls: int,
) -> list[dict[str, Any]]:
    """One row for the product, for `score` and for `recommend`."""
    history = _history(item_ids, length)
    position = {item_id: index for index, item_id in enumerate(item_ids)}
    seen = vectors[[position[item_id] for item_id in history.item_ids]]
    candidates, offered = item_ids[-count:], vectors[-count:]
    works = {
        "bare product": lambda: seen @ offered.T,
        "score": lambda: recommender.score(history, candidates),
        "recommend 10 of all": lambda: recommender.recommend(history, k=10, pool="all"),
    }
    return [
        {
            "what": what,
            "history": length,
            "candidates": len(item_ids) if what.startswith("recommend") else count,
            **results.latencies(work, calls=calls),
        }
        for what, work in works.items()
        if not (what.startswith("recommend") and count != CANDIDATES[-1])
    ]


def _history(item_ids: list[str], length: int) -> UserHistory:
    """Purchases of items spread evenly over the catalogue."""
    step = max(1, len(item_ids) // length)
    chosen = tuple(islice(item_ids, 0, step * length, step))
    return UserHistory(chosen, (tables.PURCHASE,) * len(chosen), (shop.AS_OF,) * len(chosen))


def _usual(row: dict[str, Any]) -> bool:
    return bool(row["history"] == 50 and row["candidates"] == 500)


if __name__ == "__main__":
    main()
