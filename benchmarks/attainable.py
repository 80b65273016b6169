"""How near the oracle anybody could come who knew the generated shop and not its people.

``make bench-attainable``. The oracle ranks by each person's true utilities; a model has a log to
tell tastes by. Here people's traits are inferred (`benchmarks.shoppers`) from the log before the
cut by a ranker that knows how everything was made: the traits of every listing, how those of people
are distributed, and how choices follow from both. First customers could tell it nothing more of a
listing, so with any number of them it is about what anybody could reach. The numbers go into
``benchmarks/results/attainable.json`` and, as a table, into ``docs/benchmarks.md``.
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
import torch

from benchmarks import results, tables
from benchmarks.cells import SHOTS, Workbench
from benchmarks.estimates import Estimate, ratio
from benchmarks.grid import AS_OF, GRID, open_cut
from benchmarks.oracle_shares import in_per_cent
from benchmarks.quality import DOCUMENT, QUALITY
from benchmarks.shoppers import Knowledge, Reading, inferred
from benchmarks.shown_log import ShownLog
from coldstart_models.benchmark_run import read_stored
from coldstart_models.benchmarking import NO_GROUPS, Bench, Ledger, measure
from coldstart_models.data.pools import COLD, shots_pool
from coldstart_models.metrics import NDCG, USER_METRICS, FloatArray
from coldstart_models.models import ORACLE, build_ranker
from coldstart_models.ranker import Ranker
from coldstart_models.snapshot import microseconds
from feature_repo.catalogs.marketplace.generation import UTILITY, truth_frame
from feature_repo.catalogs.marketplace.size import SIZES, MarketplaceSize
from feature_repo.catalogs.marketplace.stock import Listing, make_stock
from feature_repo.catalogs.marketplace.tastes import Shoppers, make_shoppers, utilities
from feature_repo.home import Home
from validation import tables as columns

NAME: Final = "attainable"
KNOWN, READ, CUSTOMERS = "known of a listing", "read of the log", "first customers"
CUT: Final = next(cut for cut in GRID if ORACLE in cut.models)
SIZE: Final = SIZES["demo"]
SEED: Final = 0
"""Of the shop, as `ingest marketplace` makes it."""


@dataclass(frozen=True, slots=True)
class Shop:
    """The generated shop as it was made, and its log before the cut."""

    shoppers: Shoppers
    stock: list[Listing]
    log: ShownLog

    @classmethod
    def of(cls, events: pd.DataFrame, *, size: MarketplaceSize, seed: int) -> "Shop":
        """Of canonical events, those before the cut, of a shop made with this size and seed."""
        shoppers, stock = make_shoppers(size.users, seed=seed), make_stock(size, seed=seed)
        begun = AS_OF - timedelta(weeks=size.weeks)
        log = ShownLog.of(events, shoppers, stock, start_us=microseconds(begun))
        return cls(shoppers, stock, log)

    def expected(self, reading: Reading, *, hidden: bool) -> pd.DataFrame:
        """The truth, as far as whoever knows the shop can tell it from the log."""
        known = Knowledge.of(self.shoppers, self.stock, hidden=hidden)
        told = inferred(self.log, known, users=len(self.shoppers.user_ids), reading=reading)
        return truth_frame(self.shoppers, self.stock, told.astype(np.float64))


def main() -> None:
    """Measure, then write the numbers and the table."""
    parser = argparse.ArgumentParser(prog="benchmarks.attainable", description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--into", type=Path, default=DOCUMENT, help="Markdown with the place marked"
    )
    options = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    rows = list(measured())
    results.publish(NAME, title="Shares of the oracle's NDCG@10", rows=rows)
    tables.put(published(rows), options.into, name=NAME)


def measured() -> Iterator[dict[str, Any]]:
    """Shares of the oracle's NDCG@10, by what is known, what is read and how many customers."""
    stores = QUALITY / "stores"
    bench = Workbench.of(open_cut(CUT, data=Path(), stores=stores), SEED)
    stored = read_stored(Home((stores / CUT.store).resolve()))
    past = stored.events[stored.events[columns.EVENT_TIMESTAMP] < CUT.plan.cutoff]
    shop = Shop.of(past, size=SIZE, seed=SEED)
    require_same(shop, bench.opened.truth)
    best = _reached(bench, bench.ranker(ORACLE, trials=0))
    for hidden, known in ((False, "what content shows"), (True, "all there is")):
        for reading in Reading:
            truth = shop.expected(reading, hidden=hidden)
            found = _reached(bench, build_ranker(ORACLE, truth=truth))
            for count in best:
                share = ratio(np.stack([best[count], found[count]], axis=2))
                told = {KNOWN: known, READ: reading.value, CUSTOMERS: count}
                yield told | {name: round(value, 4) for name, value in asdict(share).items()}


def published(rows: Sequence[Mapping[str, Any]]) -> str:
    """The table of what was measured."""
    counts = sorted({row[CUSTOMERS] for row in rows})
    lines: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        share = Estimate(row["mean"], row["low"], row["high"])
        lines.setdefault((row[KNOWN], row[READ]), []).append(in_per_cent(share))
    head = [KNOWN, READ, *(f"k = {count}" for count in counts)]
    body = [[*named, *shares] for named, shares in lines.items()]
    facts = f"- machine: {tables.fact(results.machine())}\n"
    return (
        f"`{CUT.name}`, {NDCG} as a share of that of `{ORACLE}`, on the pools of the share of the "
        "oracle above, by whoever knows how the shop was made and not who its people are. In "
        f"brackets 95 % bootstrap intervals over users.\n\n{tables.table(head, body)}\n{facts}"
    )


def require_same(shop: Shop, truth: pd.DataFrame | None) -> None:
    """Raises ValueError where the shop that was made is not the one whose truth is stored."""
    made = truth_frame(shop.shoppers, shop.stock, utilities(shop.shoppers, shop.stock))
    if truth is None or not np.allclose(_ordered(made), _ordered(truth)):
        raise ValueError(f"the stored truth of {CUT.name} is not of a shop with seed {SEED}")


def _ordered(truth: pd.DataFrame) -> FloatArray:
    pairs = truth.sort_values([columns.USER_ID, columns.ITEM_ID])
    return np.asarray(pairs[UTILITY], np.float64)


def _reached(bench: Workbench, ranker: Ranker) -> dict[int, FloatArray]:
    """Number of first customers → (1, U) NDCG@10 on the pool of that many, without support."""
    ranker.fit(bench.split.training_set(bench.opened.catalogue), seed=bench.seed)
    protocol = Bench(
        bench.opened.catalogue, bench.split, bench.pools, NO_GROUPS, bench.seed, None, Ledger()
    )
    counts = {COLD: 0} | {shots_pool(count): count for count in SHOTS}
    reached = {}
    for pool in bench.pools:
        if pool.name in counts and not pool.shots:
            found = measure(protocol, ranker, pool, model=ranker.name, shots=[0])
            reached[counts[pool.name]] = found.values[None, :, USER_METRICS.index(NDCG)]
    return reached


if __name__ == "__main__":
    main()
