"""What first customers are worth to a new listing: ``make bench-shots``.

Every learner of few shots at k = 1, 3, 5, 10 and 20 customers, against the same model without them
(k = 0) on the same pool: the cold items with more than k customers. With the learner that won on
validation, what the customers' profiles add and what how they came adds are measured apart, and
what warm items lose where adapted new ones stand among them.

One JSON a cut and seed in ``benchmarks/results/shots``; what is there is not measured again. A cut
whose data is absent is left out with its reason.
"""

import argparse
import json
import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import torch

from benchmarks import shots_tables, tables
from benchmarks.grid import GRID, Cut, Opened, open_cut
from benchmarks.quality import DOCUMENT, QUALITY
from benchmarks.results import FOLDER, machine
from benchmarks.warm_loss import warm_loss
from coldstart_models.commands import console
from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.data.episodes import Episode, first_available_us
from coldstart_models.data.pools import Pool, shots_pools
from coldstart_models.data.splits import Split
from coldstart_models.metrics import NDCG, USER_METRICS, user_metrics
from coldstart_models.siamese.learners.contest import hold_contest, learn_on_all
from coldstart_models.siamese.learners.learner import FastWeights, Learner
from coldstart_models.siamese.learners.registry import LEARNERS, build_learner
from coldstart_models.siamese.learners.rehearsal import Rehearsal
from coldstart_models.siamese.rehearsing import rehearse
from coldstart_models.siamese.stages import SiameseModel, fine_tune, pretrain, rehearsals
from coldstart_models.siamese.training import PastItems, prepare
from validation.whole_files import replacing

SHOTS: Final = (1, 3, 5, 10, 20)
NAME: Final = "shots"
CUTS: Final = ("retail-06-01", "retail-07-15", "ikea", "amazon-2018", "amazon-2023", "marketplace")
LEAST_USERS: Final = 50
LEAST_CANDIDATES: Final = 20
"""A pool with less says nothing."""
DIGITS: Final = 5
VECTOR, BIAS = "winner, profiles alone", "winner, how they came alone"


def main() -> None:
    """Measure what is missing, then write the tables."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(options.threads)
    measured, left_out = [], {}
    for cut in (cut for cut in GRID if cut.name in options.cuts):
        absent = cut.absent(options.data)
        if absent:
            left_out[cut.name] = absent
            console.say(f"left out: {cut.name}: {absent}")
            continue
        for seed in range(min(cut.seeds, options.seeds)):
            path = FOLDER / NAME / f"{cut.name}-{seed}.json"
            if not path.exists():
                opened = open_cut(cut, data=options.data, stores=QUALITY / "stores")
                path.parent.mkdir(parents=True, exist_ok=True)
                with replacing(path) as partial:
                    partial.write_text(json.dumps(measure(cut, opened, seed)), encoding="utf-8")
                console.say(f"measured: {cut.name}, seed {seed}")
            measured.append(json.loads(path.read_text(encoding="utf-8")))
    text = shots_tables.published(measured, left_out=left_out, machine=machine())
    if options.no_tables:
        console.say(text)
    else:
        tables.put(text, options.into, name=NAME)


def measure(cut: Cut, opened: Opened, seed: int) -> dict[str, Any]:
    """Train once, let every learner learn, and measure all of them at every k."""
    began = time.process_time()
    split = opened.split_of(seed)
    training = split.training_set(opened.catalogue)
    model = pretrain(training, dates=False, seed=seed, by_time=not split.seeded)
    before = model.copied()
    episodes = fine_tune(model, training, seed=seed, by_time=not split.seeded)
    modalities = len(model.network.scorer.widths)
    learners = [build_learner(name, modalities=modalities) for name in LEARNERS]
    learning, validation = rehearsals(model, training, episodes, seed=seed)
    winner, contest = hold_contest(learners, learning, validation)
    model.network.learner = winner
    taught = [build_learner(name, modalities=modalities) for name in LEARNERS]
    for learner, judged in zip(taught, learners, strict=True):
        learn_on_all(learner, [*learning, *validation], shares_of=judged)
    pools = []
    for shots in SHOTS:
        found = shots_pools(split, shots=shots, seed=seed)
        if found and _large(found[1]):
            rehearsal = _rehearsal(model, split, opened, found[1])
            pools.append(_measured(found[1], rehearsal, taught, winner, opened))
    return {
        "cut": cut.name,
        "seed": seed,
        "contest": contest.as_dict(),
        "pools": pools,
        "warm": warm_loss(model, before, split, opened.catalogue, seed=seed),
        "seconds": round(time.process_time() - began, 1),
    }


def _rehearsal(model: SiameseModel, split: Split, opened: Opened, pool: Pool) -> Rehearsal:
    training = split.training_set(opened.catalogue)
    chosen = pool.chosen.toarray()
    episode = Episode(training.interactions, pool.task, chosen, chosen.sum(axis=0).astype(float))
    items = PastItems.of(training.interactions, model.inputs, model.fitted)
    prepared = prepare(episode, items, first_us=first_available_us(training))
    return rehearse(model.network, prepared, launches=True)


@torch.inference_mode()
def _measured(
    pool: Pool,
    rehearsal: Rehearsal,
    learners: Sequence[Learner],
    winner: Learner,
    opened: Opened,
) -> dict[str, Any]:
    """Each user's NDCG@10 without support, with each learner, and with the winner's parts."""

    def ndcg(scores: FloatMatrix) -> list[float]:
        ids = opened.catalogue.item_ids[pool.task.candidates]
        found = user_metrics(
            scores, pool.chosen.toarray(), ids, excluded=pool.excluded.toarray()
        ).values[:, USER_METRICS.index(NDCG)]
        return [round(float(value), DIGITS) for value in found]

    weights = winner.adapt(rehearsal.evidence)
    parts = {
        VECTOR: FastWeights(weights.vectors, torch.zeros_like(weights.bias)),
        BIAS: FastWeights(torch.zeros_like(weights.vectors), weights.bias),
    }
    adapted = {each.name: each.adapt(rehearsal.evidence) for each in learners} | parts
    return {
        "shots": pool.shots,
        "candidates": len(pool.task.candidates),
        "users": pool.task.user_index.tolist(),
        "without": ndcg(rehearsal.scores.numpy()),
        "with": {name: ndcg(rehearsal.adapted(found).numpy()) for name, found in adapted.items()},
    }


def _large(pool: Pool) -> bool:
    enough = len(pool.task.candidates) >= LEAST_CANDIDATES
    return enough and len(pool.task.user_index) >= LEAST_USERS


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.shots", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument(
        "--cuts",
        type=lambda given: tuple(part.strip() for part in given.split(",")),
        default=CUTS,
        help="; ".join(cut.name for cut in GRID),
    )
    parser.add_argument("--seeds", type=int, default=1, help="at most so many seeds of a cut")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument(
        "--into", type=Path, default=DOCUMENT, help="Markdown with the place marked"
    )
    parser.add_argument("--no-tables", action="store_true", help="print them alone")
    return parser.parse_args()


if __name__ == "__main__":
    main()
