"""Cells of the quality benchmark: one cut, seed and model each, measured once and kept as JSON.

A cell's file is named by its configuration, its data's contents and encoders and the code that its
model is made of: `kept_results`. Where the cut is at a date, new items are also ranked within the
month of their launch.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from benchmarks.code_versions import model_module
from benchmarks.grid import Cut, Opened, adapts
from benchmarks.kept_results import kept_path
from benchmarks.peers.kept import Kept
from benchmarks.peers.registry import BASELINES, PUBLISHED, build_peer
from benchmarks.peers.tuning import TunedRanker
from coldstart_models.benchmark_result import Measurement
from coldstart_models.benchmarking import NO_GROUPS, Bench, Ledger, measure
from coldstart_models.data.catalogue import IntArray
from coldstart_models.data.pools import Pool, cold_pool, month_pool, shots_pools
from coldstart_models.data.splits import Split
from coldstart_models.errors import ModelError
from coldstart_models.metrics import NDCG, USER_METRICS
from coldstart_models.models import build_ranker
from coldstart_models.ranker import Ranker

SHOTS: Final = (1, 3, 5, 10, 20)
LEAST_USERS: Final = 50
LEAST_CANDIDATES: Final = 20
"""A pool of k shots with less says nothing."""
DIGITS: Final = 5
PARTS: Final = 20
"""Of new items, each of which is left out once."""
PART_DIGITS: Final = 8
WITHOUT: Final = "without"
"""Of a pool's result: its mean NDCG@10 without each part of the items."""
MONTHS: Final = "months"
"""Of a result: whether its cut has launch months to rank within."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured."""

    cut: Cut
    seed: int
    model: str
    trials: int

    def path(self, folder: Path, fingerprint: Sequence[str | int]) -> Path:
        """Where its result is, or will be."""
        asked = [
            self.cut.name,
            self.cut.source,
            str(self.cut.plan),
            self.cut.photos_alone,
            self.seed,
            self.model,
            self.trials if self.model in PUBLISHED else 0,
            SHOTS,
        ]
        return kept_path(
            folder,
            f"{self.cut.name}-{self.seed}-{self.model}",
            asked=asked,
            fingerprint=fingerprint,
            modules=[model_module(self.model)],
        )


@dataclass
class Workbench:
    """One cut and seed, and what its models share."""

    opened: Opened
    split: Split
    seed: int
    pools: list[Pool]
    kept: Kept = field(default_factory=Kept)
    pretrained: dict[bool, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, opened: Opened, seed: int) -> "Workbench":
        """Raises NotEnoughData where nobody can be ranked for."""
        split = opened.split_of(seed)
        cold = cold_pool(split)
        ids = opened.catalogue.item_ids[cold.task.candidates]
        pools = [replace(cold, cells=all_but_a_part(ids))]
        for count in SHOTS:
            found = shots_pools(split, shots=count, seed=seed)
            pools += [pool for pool in found if _large(pool)]
        months = None if split.seeded else month_pool(split, cold)
        return cls(opened, split, seed, [*pools, *([months] if months else [])])

    def ranker(self, model: str, *, trials: int) -> Ranker:
        """A fresh ranker by name, ours or a published peer."""
        by_time = not self.split.seeded
        if model in BASELINES:
            return BASELINES[model]()
        if model in PUBLISHED:
            return build_peer(model, by_time=by_time, kept=self.kept, trials=trials)
        return build_ranker(
            model, by_time=by_time, truth=self.opened.truth, pretrained=self.pretrained
        )


def measured(cell: Cell, bench: Workbench) -> dict[str, Any]:
    """The cell's result as JSON: each user's metrics on every pool, or why there are none."""
    began = time.process_time()
    told = {"cut": cell.cut.name, "seed": cell.seed, "model": cell.model}
    ranker = bench.ranker(cell.model, trials=cell.trials)
    adapting = adapts(cell.model)
    protocol = Bench(
        bench.opened.catalogue, bench.split, bench.pools, NO_GROUPS, cell.seed, None, Ledger()
    )
    try:
        ranker.fit(bench.split.training_set(bench.opened.catalogue), seed=cell.seed)
        pools = [
            _told(pool, measure(protocol, ranker, pool, model=cell.model, shots=[pool.shots]))
            for pool in bench.pools
            if adapting or not pool.shots
        ]
    except ModelError as reason:
        return told | {"skipped": str(reason)}
    tuned = ranker.trials if isinstance(ranker, TunedRanker) else []
    return told | {
        "split": bench.split.name,
        "adapts": adapting,
        MONTHS: any(pool.month is not None for pool in bench.pools),
        "seconds": round(time.process_time() - began, 1),
        "trials": [asdict(trial) for trial in tuned],
        "pools": pools,
    }


def lacks_months(result: Mapping[str, Any], cut: Cut) -> bool:
    """Whether it was measured before launches were ranked within their months."""
    return cut.plan.cutoff is not None and "pools" in result and MONTHS not in result


def measurement(pool: Mapping[str, Any], *, seed: int) -> Measurement:
    """A pool of a result as the protocol's measurement."""
    users = np.array(pool["users"], np.int64)
    return Measurement(
        seed=seed,
        user_index=users,
        values=np.array(pool["values"], np.float64),
        history_size=np.zeros(len(users), np.int64),
        stranger=np.zeros(len(users), bool),
        coverage=pool["coverage"],
        num_candidates=pool["candidates"],
        group_hits=np.zeros(0),
        group_truths=np.zeros(0),
    )


def _told(pool: Pool, found: Measurement) -> dict[str, Any]:
    values = found.values.round(DIGITS).astype(object)
    values[pd.isna(values)] = None
    place = USER_METRICS.index(NDCG)
    parts = [float(np.nanmean(part[:, place])) for part in found.cells.values()]
    return {
        "pool": pool.name,
        "shots": pool.shots,
        "candidates": found.num_candidates,
        "coverage": round(found.coverage, DIGITS),
        "users": found.user_index.tolist(),
        "values": values.tolist(),
        **({WITHOUT: [round(one, PART_DIGITS) for one in parts]} if parts else {}),
    }


def all_but_a_part(item_ids: npt.NDArray[np.object_]) -> dict[str, IntArray]:
    """Part → the candidates without it, in turn for PARTS parts, dealt by a hash of their ids; none
    where there are too few to leave some out."""
    if len(item_ids) < PARTS:
        return {}
    drawn = [hashlib.sha256(str(one).encode()).hexdigest() for one in item_ids]
    places = np.argsort(np.argsort(np.array(drawn)))
    return {str(part): np.flatnonzero(places % PARTS != part) for part in range(PARTS)}


def _large(pool: Pool) -> bool:
    enough = len(pool.task.candidates) >= LEAST_CANDIDATES
    return enough and len(pool.task.user_index) >= LEAST_USERS
