"""What each part of the Siamese scorer is worth: ``make bench-ablation``.

One model is trained for each cut and seed; then one part at a time is taken out of it and the cold
items are ranked again. A row is the NDCG@10 that is lost without the part, a mean over users and
seeds, with the paired 95 % bootstrap interval over users: above 0, the part helps. Parts:

- a term: its weight is zero;
- what was learned: the towers' corrections, the weights, or all of it, set back to the start;
- the prior: popularity predicted from content;
- what a listing says: the candidates come without photo, without text, without category and
  attributes, or without price, or with one of them alone; their factors and popularity are
  predicted from what is left;
- what a history's event says: all events of a history count alike in one respect (recency, event
  type, pieces and price level, repeats), by setting to zero the weight that was learned for it;
- everything but a constant boost: every new listing gets one and the same score, whose AUC among
  new listings is one half;
- on cuts at a date, of a second model, which uses dates: the season, the age, or both.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch

from benchmarks import cut_rows, tables
from benchmarks.grid import Cut, open_cut
from benchmarks.listing_parts import blank, listing_parts
from benchmarks.peers.constant import ConstantRanker
from benchmarks.quality import usual
from coldstart_models.commands import console
from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.pools import Pool, cold_pool
from coldstart_models.data.traits import KINDS, PRICE, QUANTITY, REPEATS, TRAITS
from coldstart_models.metrics import AUC, NDCG, USER_METRICS, bootstrap_intervals, user_metrics
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.inputs import ItemInputs
from coldstart_models.siamese.ranker import prepared_task
from coldstart_models.siamese.stages import SiameseModel, pretrain
from coldstart_models.siamese.training import MetaSiamese, PastItems, score_task

WHOLE: Final = "the whole"
CONSTANT: Final = "all but a constant boost"
DATED: Final = "{}, with dates"
"""A cut's rows of the model that uses dates."""
METRICS: Final = (NDCG, AUC)
EVENTS: Final = {
    "event types": tuple(TRAITS.index(kind) for kind in KINDS),
    "quantities and prices": (QUANTITY, PRICE),
    "repeats": (REPEATS,),
}
"""What a history's event carries beside its time, and the places of its weights."""
Values = npt.NDArray[np.float64]
Variant = tuple[str, SiameseModel, ItemInputs]
"""What is left out, and the model and inputs without it."""


def main() -> None:
    """Measure every cut that is there, print and write the table."""
    parser = cut_rows.parser_of("ablation", __doc__, usual=usual())
    parser.add_argument("--seeds", type=int, default=2, help="at most so many of a cut")
    options = parser.parse_args()
    cut_rows.run(
        "ablation",
        options,
        lambda cut: measured(cut, options.data, stores=options.stores, seeds=options.seeds),
        title="NDCG@10 lost without a part",
    )


def measured(cut: Cut, data: Path, *, stores: Path, seeds: int) -> list[dict[str, Any]]:
    """The rows of one cut."""
    opened = open_cut(cut, data=data, stores=stores)
    kinds = {cut.name: False} | ({} if cut.plan.cutoff is None else {DATED.format(cut.name): True})
    found: dict[str, dict[str, list[tuple[IntArray, Values]]]] = {name: {} for name in kinds}
    for seed in range(min(cut.seeds, seeds)):
        began = time.process_time()
        split = opened.split_of(seed)
        training, pool = split.training_set(opened.catalogue), cold_pool(split)
        ids = opened.catalogue.item_ids[pool.task.candidates]
        for kind, dates in kinds.items():
            model = pretrain(training, dates=dates, seed=seed, by_time=not split.seeded)
            scored = (
                dated_scores(model, training, pool)
                if dates
                else variant_scores(model, training, pool, seed=seed)
            )
            for name, scores in scored:
                values = user_metrics(scores, pool.chosen.toarray(), ids).values
                columns = [USER_METRICS.index(metric) for metric in METRICS]
                told = (pool.task.user_index, values[:, columns])
                found[kind].setdefault(name, []).append(told)
        console.say(f"{cut.name} seed {seed}: {time.process_time() - began:.0f} s")
    users = opened.split_of(0).training.num_users
    return [
        _row(kind, name, parts[WHOLE], parts[name], users=users)
        for kind, parts in found.items()
        for name in parts
    ]


def dated_scores(
    model: SiameseModel, training: TrainingSet, pool: Pool
) -> Iterator[tuple[str, FloatMatrix]]:
    """What is left out of a model that uses dates and the (U, C) scores without it, the whole
    first: what dates tell of new listings.

    Raises ValueError of a model that uses none.
    """
    items = PastItems.of(training.interactions, model.inputs, model.fitted, dates=True)
    task = prepared_task(training, items, pool.task)
    for name, season, age in (
        (WHOLE, False, False),
        ("the season", True, False),
        ("the age", False, True),
        ("the season and the age", True, True),
    ):
        less = _without(model, partial(_no_dates, season=season, age=age))
        yield name, score_task(less.network, task)


def variant_scores(
    model: SiameseModel, training: TrainingSet, pool: Pool, *, seed: int
) -> Iterator[tuple[str, FloatMatrix]]:
    """What is left out and the (U, C) scores without it, the whole first."""
    for name, less, left in variants(model, model.inputs, pool.task.candidates, seed=seed):
        items = PastItems.of(training.interactions, left, less.fitted)
        yield name, score_task(less.network, prepared_task(training, items, pool.task))
    constant = ConstantRanker()
    constant.fit(training, seed=seed)
    yield CONSTANT, constant.score(pool.task)


def variants(
    model: SiameseModel, inputs: ItemInputs, candidates: IntArray, *, seed: int
) -> Iterator[Variant]:
    """The whole, then each part taken out of it."""
    yield WHOLE, model, inputs
    stated = MetaSiamese(
        model.network.scorer.widths,
        dates=model.network.date_term is not None,
        generator=torch.Generator().manual_seed(seed),
    ).scorer
    for place, (name, kind) in enumerate(model.network.scorer.terms):
        yield f"term: {name}, {kind}", _without(model, _zero_term(place)), inputs
    yield "the prior", _without(model, _zero_prior), inputs

    def no_towers(network: MetaSiamese) -> None:
        for up in network.scorer.up.values():
            up.zero_()

    def no_weights(network: MetaSiamese) -> None:
        network.scorer.term_weights.copy_(stated.term_weights)
        network.scorer.prior_weight.copy_(stated.prior_weight)

    def no_learning(network: MetaSiamese) -> None:
        network.scorer.load_state_dict(stated.state_dict())

    yield "learned: the towers", _without(model, no_towers), inputs
    yield "learned: the weights", _without(model, no_weights), inputs
    yield "learned: everything", _without(model, no_learning), inputs
    yield "history: recency", _without(model, _no_recency), inputs
    for told, places in EVENTS.items():
        yield f"history: {told}", _without(model, _zero_traits(places)), inputs
    given = listing_parts(model.featurizer, inputs)
    for name, part in given.items():
        yield f"the listing's {name}", model, blank(inputs, part, candidates)
        others = tuple(one for other in given if other != name for one in given[other])
        if others:
            yield f"all but the listing's {name}", model, blank(inputs, others, candidates)


def _zero_term(place: int) -> Callable[[MetaSiamese], None]:
    def zero(network: MetaSiamese) -> None:
        network.scorer.term_weights[place] = 0.0

    return zero


def _zero_prior(network: MetaSiamese) -> None:
    network.scorer.prior_weight.zero_()


def _no_dates(network: MetaSiamese, *, season: bool, age: bool) -> None:
    if network.date_term is None:
        raise ValueError("a model without dates has no season and no age to leave out")
    if season:
        network.date_term.season_weight.zero_()
    if age:
        network.date_term.age_weight.zero_()


def _no_recency(network: MetaSiamese) -> None:
    network.scorer.recency.zero_()


def _zero_traits(places: tuple[int, ...]) -> Callable[[MetaSiamese], None]:
    def zero(network: MetaSiamese) -> None:
        network.scorer.trait_weights[list(places)] = 0.0

    return zero


@torch.no_grad()
def _without(model: SiameseModel, take_out: Callable[[MetaSiamese], None]) -> SiameseModel:
    less = model.copied()
    take_out(less.network)
    return less


def _row(
    cut: str,
    name: str,
    whole: list[tuple[IntArray, Values]],
    less: list[tuple[IntArray, Values]],
    *,
    users: int,
) -> dict[str, Any]:
    """NDCG@10 and AUC without the part, and the NDCG@10 that is lost, with its interval."""
    stacked, lost = (np.full((len(whole), users, len(METRICS)), np.nan) for _ in range(2))
    for seed, ((rows, before), (_, after)) in enumerate(zip(whole, less, strict=True)):
        stacked[seed, rows], lost[seed, rows] = after, before - after
    ndcg, auc = np.nanmean(np.nanmean(stacked, axis=1), axis=0)
    mean = float(np.nanmean(np.nanmean(lost, axis=1), axis=0)[0])
    low, high = bootstrap_intervals(lost, seed=0)[0]
    return {
        "cut": cut,
        "without": "–" if name == WHOLE else name,
        "seeds": len(whole),
        "ndcg@10": round(float(ndcg), 4),
        "auc": round(float(auc), 4),
        "ndcg@10 lost": round(mean, 4),
        "95 %": f"{tables.signed(low)} to {tables.signed(high)}",
    }


if __name__ == "__main__":
    main()
