"""Weights to start from that shops agree on: ``make bench-starting_weights ARGS='--data DIR'``.

A shop of which too few people chose anything ranks by the stated weights
(`coldstart_models.siamese.scorer.INITIAL_WEIGHT`), and every fit starts there. Whether stated
weights suit a shop that nobody had looked at is asked by leaving it out: the others' past cold
starts (launches of the past or held-out items, all before a cut's cutoff and of its known items)
are ranked, and coordinate ascent finds the weights with the highest mean of the logarithms of
their NDCG@10, each cut counting alike. What ranks new items after the cutoff is not read.

The prior's weight is not among them: past launches overrate it (docs/adr/0015).
"""

import argparse
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch

from benchmarks.choices import part_of
from benchmarks.grid import GRID, Cut, open_cut, readable
from benchmarks.quality import QUALITY
from benchmarks.results import publish
from coldstart_models.commands import console
from coldstart_models.siamese.preparing import prepare_each
from coldstart_models.siamese.problems import past_episodes
from coldstart_models.siamese.scorer import AVERAGE, INITIAL_WEIGHT, NEAREST
from coldstart_models.siamese.stages import unlearned
from coldstart_models.siamese.togetherness import TOGETHER
from coldstart_models.siamese.weighing import Choices, choices, qualities, stated_weights

SHOPS: Final = {
    "gift shop": ("retail-06-01", "retail-07-15"),
    "furniture": ("ikea", "ikea-photos"),
    "Amazon": ("amazon-2018", "amazon-2023"),
    "marketplace (generated)": ("marketplace",),
}
"""Cuts that say the same of a shop: they are left out together."""
BEFORE: Final = {
    "photo": (0.3, 0.8),
    "text": (0.0, 1.5),
    "words": (0.2, 0.2),
    "spelling": (0.2, 0.0),
    "attributes": (0.2, 0.25),
    TOGETHER: (0.0, 1.4),
}
"""What was stated until ADR 36, found on launches of the gift shop; the ascent starts there."""
STEPS: Final = (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4)
ROUNDS: Final = 4
LEAST_GAIN: Final = 7e-4
"""In the mean logarithm of NDCG@10: what less gains stays."""

Stated = Mapping[str, tuple[float, float]]
"""Modality → weights of its average and of its nearest term."""


@dataclass(frozen=True, slots=True)
class PastColdStarts:
    """The episodes of one cut and seed, as choices among the terms of the scorer."""

    terms: tuple[tuple[str, str], ...]
    """(modality, kind) of the columns of the choices; the last column is the prior's."""
    episodes: list[Choices]
    prior: float
    """Its stated weight."""

    def ndcg(self, weights: Stated) -> float:
        """NDCG@10, a mean over people and then over episodes."""
        given = [weights[name][(AVERAGE, NEAREST).index(kind)] for name, kind in self.terms]
        reached = qualities(self.episodes, np.asarray([*given, self.prior]))
        return float(np.mean([of_people.mean() for of_people in reached]))


Cuts = Mapping[str, Sequence[PastColdStarts]]
"""Cut → a seed's episodes each."""


def main() -> None:
    """Measure, print and write the table."""
    options = _options()
    logging.basicConfig(level=logging.ERROR)
    torch.set_num_threads(1)
    cuts: dict[str, list[PastColdStarts]] = {}
    present, _ = readable((cut for cut in GRID if cut.name in options.cuts), options.data)
    for cut in present:
        seeds = range(min(cut.seeds, options.seeds))
        cuts[cut.name] = [
            past_cold_starts(cut, options.data, stores=options.stores, seed=seed) for seed in seeds
        ]
        console.say(f"{cut.name}: {len(cuts[cut.name])} seed(s)")
    agreed = agreed_weights(cuts)
    rows: list[dict[str, Any]] = []
    for shop, names in SHOPS.items():
        those = [name for name in names if name in cuts]
        others = {name: found for name, found in cuts.items() if name not in those}
        elsewhere = agreed_weights(others) if those and others else None
        rows += [row_of(shop, name, cuts[name], elsewhere, agreed) for name in those]
    told = {name: tuple(round(weight, 2) for weight in pair) for name, pair in agreed.items()}
    publish(
        "starting_weights",
        title="NDCG@10 of past cold starts by their start",
        rows=rows,
        agreed=told,
    )


def past_cold_starts(cut: Cut, data: Path, *, stores: Path, seed: int) -> PastColdStarts:
    """What training would weigh the terms on, and judge that by, before it learns anything."""
    opened = open_cut(cut, data=data, stores=stores)
    split = opened.split_of(seed)
    training = split.training_set(opened.catalogue)
    _, inputs, network = unlearned(training, dates=False, seed=seed)
    past = past_episodes(training, seed=seed, by_time=not split.seeded)
    prepared = prepare_each(
        [*past.learning, *past.validation], training, inputs, past.seen, seed=seed
    )
    found = [choices(network, each, launches=past.launches) for each in prepared]
    return PastColdStarts(
        tuple(network.scorer.terms), found, prior=float(stated_weights(network)[-1])
    )


def agreed_weights(cuts: Cuts) -> Stated:
    """The weights under which the cuts' past cold starts rank best, each cut counting alike."""
    weights: Stated = BEFORE
    best = _mean_log(cuts, weights)
    for _ in range(ROUNDS):
        before = best
        for name, place in product(BEFORE, range(2)):
            for changed in _changes(weights, name, place):
                reached = _mean_log(cuts, changed)
                if reached > best + LEAST_GAIN:
                    best, weights = reached, changed
        if best == before:
            break
    return weights


def _changes(weights: Stated, name: str, place: int) -> Iterator[Stated]:
    """The weights with one of a modality's two a step away, never below zero."""
    value = weights[name][place]
    for tried in sorted({max(0.0, value + step) for step in STEPS} - {value}):
        average, nearest = weights[name]
        yield {**weights, name: (average, tried) if place else (tried, nearest)}


def _mean_log(cuts: Cuts, weights: Stated) -> float:
    return float(np.mean([np.log(_ndcg(seeds, weights)) for seeds in cuts.values()]))


def _ndcg(seeds: Sequence[PastColdStarts], weights: Stated) -> float:
    return float(np.mean([one.ndcg(weights) for one in seeds]))


def row_of(
    shop: str, cut: str, seeds: Sequence[PastColdStarts], elsewhere: Stated | None, agreed: Stated
) -> dict[str, Any]:
    """NDCG@10 from what was stated before, and what the other starts gain over it."""
    before = _ndcg(seeds, BEFORE)
    starts = {"stated": INITIAL_WEIGHT, "other shops agree": elsewhere, "all agree": agreed}
    return {
        "shop": shop,
        "cut": cut,
        "seeds": len(seeds),
        "episodes": sum(len(one.episodes) for one in seeds),
        "before": round(before, 4),
    } | {
        name: "–" if weights is None else f"{(_ndcg(seeds, weights) / before - 1) * 100:+.1f} %"
        for name, weights in starts.items()
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.starting_weights", description=__doc__)
    cuts: list[str] = [name for names in SHOPS.values() for name in names]
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the data sets")
    parser.add_argument("--cuts", type=part_of(cuts), default=cuts, help=", ".join(cuts))
    parser.add_argument("--seeds", type=int, default=2, help="at most so many of a cut")
    parser.add_argument("--stores", type=Path, default=QUALITY / "stores", help="encoded data")
    return parser.parse_args()


if __name__ == "__main__":
    main()
