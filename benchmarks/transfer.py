"""What pretraining across shops gives another shop, by how many events that has: transfer.

``make bench-transfer ARGS='--data DIR'`` pretrains a general model on every shop but the target
(`--sources`) and adapts it to a share of the target's training events. It is compared with the
same training from nothing on the same events, and with the same start without anything learned:
content similarity in the place of the general space. A bound stands beside them: what the target's
whole log teaches, ranking by the histories of the share. Candidates and truth are the same at every
share; shares are nested draws of single events. Measurements are kept one by one in
``benchmarks/results/transfer``; what is there is not measured again, unless the target's data or
the code is another. Targets and shares that were not asked for stay as they were last published.
"""

import argparse
import json
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from benchmarks import tables, transfer_tables
from benchmarks.choices import part_of
from benchmarks.code_versions import code_version
from benchmarks.grid import AS_OF, GRID, Cut, fingerprint_of, readable
from benchmarks.kept_results import digest_of, kept, kept_path
from benchmarks.results import FOLDER, machine
from benchmarks.thinning import thinned
from benchmarks.transfer_tables import ARMS, TRANSFERRED, UNLEARNED, WHOLE
from coldstart_models.benchmark_run import StoredSource, encode_source, read_stored, splitter
from coldstart_models.benchmarking import Bench, Ledger, measure
from coldstart_models.breakdowns import Groups
from coldstart_models.commands import console
from coldstart_models.data.pools import cold_pool
from coldstart_models.errors import NotEnoughData
from coldstart_models.general.artifact import (
    GeneralModel,
    load_general,
    require_left_out,
    save_general,
)
from coldstart_models.general.metric import Metric
from coldstart_models.general.pretraining_job import pretrain_shops
from coldstart_models.general.shops import Shop, licence_of, read_shop, shop_digest
from coldstart_models.general.tower import GeneralTower
from coldstart_models.siamese.ranker import SiameseRanker
from feature_repo.home import Home
from validation.whole_files import replacing

TRANSFER: Final = FOLDER / "transfer"
DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
TARGETS: Final = (
    "retail-06-01",
    "retail-07-15",
    "ikea",
    "amazon-2018",
    "amazon-2023",
    "complete-journey",
    "marketplace",
)
SHARES: Final = (1.0, 0.3, 0.1, 0.03)
HOME_OF: Final = {cut.store: cut for cut in GRID}
"""Store → a cut that says how its source is opened."""
SOURCES: Final = (
    "online_retail",
    "ikea",
    "amazon_2018",
    "amazon_2023",
    "complete_journey",
    "marketplace",
)
PRETRAINING: Final = "coldstart_models.general.pretraining_job"
CODE: Final = ("coldstart_models.siamese.ranker", PRETRAINING, "benchmarks.thinning")
"""What a point depends on."""


@dataclass(frozen=True, slots=True)
class Point:
    """One measurement: a target, a seed, a share of its events, and what is learned from."""

    target: str
    seed: int
    share: float
    arm: str
    pretrained: str
    """Digest of the general model; empty where there is none."""

    def path(self, folder: Path, cut: Cut, fingerprint: Sequence[str | int]) -> Path:
        """Where its result is, or will be.

        Args:
            cut: the target's.
        """
        return kept_path(
            folder,
            f"{self.target}-{self.seed}-{self.share:g}",
            asked=[asdict(self), cut.source, str(cut.plan)],
            fingerprint=fingerprint,
            modules=CODE,
        )


@dataclass(frozen=True, slots=True)
class Source:
    """A shop to learn from."""

    name: str
    cut: Cut
    """One that says how it is opened."""
    stored: StoredSource


def main() -> None:
    """Measure what is missing, then write the curve."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    with threadpool_limits(options.threads):
        results = run(options)
    page = tables.standing(options.into.read_text(encoding="utf-8"), name="transfer")
    text = transfer_tables.published(results, machine=machine(), page=page)
    with replacing(TRANSFER.with_suffix(".json")) as whole:
        whole.write_text(json.dumps(_whole(results), indent=1) + "\n", encoding="utf-8")
    tables.put(text, options.into, name="transfer")
    console.say(f"curve written to {options.into}")


def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Every point's result, measured now or before."""
    cuts, _ = readable((cut for cut in GRID if cut.name in options.targets), options.data)
    return [result for cut in cuts for result in _of_target(cut, options)]


def _of_target(cut: Cut, options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The points of one target, in an order in which an early stop leaves whole seeds."""
    stored = _stored(cut, options)
    general = general_without(cut, stored, options)
    split_of = splitter(stored, cut.plan)
    for seed in range(options.seeds):
        split = split_of(seed)
        for share in options.shares:
            for arm in arms_of(share):
                used = {TRANSFERRED: general, UNLEARNED: unlearned(general)}.get(arm)
                point = Point(cut.name, seed, share, arm, used.digest if used else "")
                path = point.path(TRANSFER / "points", cut, fingerprint_of(stored))
                if options.no_measuring and not path.exists():
                    continue
                result = kept(path, partial(measured, point, stored, split, used))
                _tell(result)
                yield result | {"generated": stored.record.generated}


def arms_of(share: float) -> tuple[str, ...]:
    """Which are measured at a share: of all events the bound would be the target alone."""
    return ARMS if share == 1.0 else (*ARMS, WHOLE)


def measured(
    point: Point, stored: StoredSource, split: Any, general: GeneralModel | None
) -> dict[str, Any]:
    """Fit on the share, or of the bound on the whole, and rank the cold items by the share's
    histories; each user's metrics."""
    if general is not None:
        digest = shop_digest(stored.catalogue)
        require_left_out(general.provenance, name=stored.record.name, digest=digest)
    began = time.process_time()
    smaller = thinned(split, point.share, seed=point.seed)
    told = {**asdict(point), "split": split.name, "events": len(smaller.training)}
    try:
        pool = cold_pool(smaller)
        ranker = SiameseRanker(meta=True, dates=False, by_time=not split.seeded, general=general)
        learned = split if point.arm == WHOLE else smaller
        ranker.fit(learned.training_set(stored.catalogue), seed=point.seed)
    except NotEnoughData as reason:
        return told | {"skipped": str(reason)}
    groups = Groups([], np.full(len(stored.catalogue), -1, np.int64))
    bench = Bench(stored.catalogue, smaller, [pool], groups, point.seed, None, Ledger())
    found = measure(bench, ranker, pool, model=point.arm, shots=[0])
    return told | {
        "seconds": round(time.process_time() - began, 1),
        "candidates": found.num_candidates,
        "users": found.user_index.tolist(),
        "values": np.nan_to_num(found.values, nan=0.5).round(5).tolist(),
        "general": general.told() if general else None,
    }


def unlearned(general: GeneralModel) -> GeneralModel:
    """A general model of the same encoders that no shop taught anything: content similarity."""
    tower = GeneralTower(general.tower.widths).eval()
    return GeneralModel(tower, Metric({}, 1.0), replace(general.provenance, sources=()))


def general_without(cut: Cut, stored: StoredSource, options: argparse.Namespace) -> GeneralModel:
    """The general model of every source that is there but the target's, pretrained once."""
    names = [name for name in options.sources if name != cut.store]
    sources = _sources(names, options)
    folder = general_folder(sources, seed=options.pretraining_seed)
    if not (folder / "config.json").exists():
        shops = [_shop(one, options) for one in sources]
        model = pretrain_shops(shops, now=datetime.now(UTC), seed=options.pretraining_seed)
        save_general(model, folder)
    model = load_general(folder)
    digest = shop_digest(stored.catalogue)
    require_left_out(model.provenance, name=stored.record.name, digest=digest)
    console.say(f"{cut.name}: general model of {', '.join(model.provenance.names)}")
    return model


def general_folder(sources: Sequence[Source], *, seed: int) -> Path:
    """Where the general model of these sources is, or will be."""
    told = [[one.name, one.cut.source, *fingerprint_of(one.stored)] for one in sources]
    return TRANSFER / "general" / digest_of([told, seed, code_version(PRETRAINING)])


def _sources(names: Sequence[str], options: argparse.Namespace) -> list[Source]:
    """Those that can be read."""
    found = []
    for name in names:
        cut = HOME_OF[name]
        if reason := cut.absent(options.data):
            console.say(f"not learned from: {name}: {reason}")
            continue
        found.append(Source(name, cut, _stored(cut, options)))
    return found


def _shop(source: Source, options: argparse.Namespace) -> Shop:
    spec = source.cut.source.format(data=options.data)
    return read_shop(source.stored, licence=licence_of(spec, source.stored))


def _stored(cut: Cut, options: argparse.Namespace) -> StoredSource:
    """A cut's data, ingested and encoded once, where the quality benchmark keeps its own."""
    home = Home((options.stores / cut.store).resolve())
    encode_source(cut.source.format(data=options.data), home=home, now=AS_OF, as_of=AS_OF)
    return read_stored(home)


def _tell(result: dict[str, Any]) -> None:
    what = f"{result['target']} seed {result['seed']} {result['share']:.0%} {result['arm']}"
    if "skipped" in result:
        console.say(f"{what}: left out: {result['skipped']}")
        return
    ndcg = float(np.mean([values[1] for values in result["values"]]))
    console.say(f"{what}: NDCG@10 {ndcg:.4f}, {result['seconds']:.0f} s")


def _whole(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The curve, what it is made of, and the points without each user's values."""
    points = [
        {name: value for name, value in one.items() if name not in ("users", "values")}
        for one in results
    ]
    return {
        "benchmark": "transfer",
        "machine": machine(),
        **{
            f"{transfer_tables.MADE_OF}`{target}`": said
            for target, said in transfer_tables.made_of(results).items()
        },
        "rows": transfer_tables.curve(results),
        "points": points,
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.transfer", description=__doc__)
    cuts = [cut.name for cut in GRID]
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--targets", type=part_of(cuts), default=TARGETS, help=", ".join(cuts))
    parser.add_argument(
        "--sources", type=part_of(HOME_OF), default=SOURCES, help=", ".join(HOME_OF)
    )
    parser.add_argument("--shares", type=_shares, default=SHARES)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pretraining-seed", type=int, default=0)
    parser.add_argument("--stores", type=Path, default=FOLDER / "quality" / "stores")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--into", type=Path, default=DOCUMENT, help="Markdown with the place marked"
    )
    parser.add_argument(
        "--no-measuring", action="store_true", help="write the curve of what was measured"
    )
    return parser.parse_args()


def _shares(given: str) -> tuple[float, ...]:
    return tuple(float(part) for part in given.split(",") if part.strip())


if __name__ == "__main__":
    main()
