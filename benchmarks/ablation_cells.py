"""One cell of the ablation: a cut and a seed, how well its new items are ranked without each part.

The parts are told in `ablation`.
"""

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Final

import torch

from benchmarks.grid import Opened
from benchmarks.listing_parts import blank, listing_parts
from benchmarks.peers.constant import ConstantRanker
from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.pools import Pool, cold_pool
from coldstart_models.data.traits import KINDS, PRICE, QUANTITY, REPEATS, TRAITS
from coldstart_models.metrics import AUC, NDCG, USER_METRICS, user_metrics
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.inputs import ItemInputs
from coldstart_models.siamese.network import MetaSiamese, score_task
from coldstart_models.siamese.preparing import PastItems
from coldstart_models.siamese.problems import past_episodes
from coldstart_models.siamese.ranker import prepared_task
from coldstart_models.siamese.stages import SiameseModel, pretrain

WHOLE: Final = "the whole"
CONSTANT: Final = "all but a constant boost"
METRICS: Final = (NDCG, AUC)
UNDATED: Final = "without dates"
DATED: Final = "with dates"
"""The two models of a cut at a date; others have the first."""
DIGITS: Final = 5
EVENTS: Final = {
    "event types": tuple(TRAITS.index(kind) for kind in KINDS),
    "quantities and prices": (QUANTITY, PRICE),
    "repeats": (REPEATS,),
}
"""What a history's event carries beside its time, and the places of its weights."""
Variant = tuple[str, SiameseModel, ItemInputs]
"""What is left out, and the model and inputs without it."""


def measured(opened: Opened, seed: int, *, dated: bool) -> dict[str, Any]:
    """Each model's METRICS of every ranked user, by what is left out of it.

    Args:
        dated: train a model that uses dates as well.
    """
    began = time.process_time()
    split = opened.split_of(seed)
    training, pool = split.training_set(opened.catalogue), cold_pool(split)
    ids, by_time = opened.catalogue.item_ids[pool.task.candidates], not split.seeded
    columns = [USER_METRICS.index(metric) for metric in METRICS]
    past = past_episodes(training, seed=seed, by_time=by_time)
    models: dict[str, dict[str, list[list[float]]]] = {}
    for name, dates in ((UNDATED, False), *([(DATED, True)] if dated else [])):
        model = pretrain(training, dates=dates, seed=seed, by_time=by_time, past=past)
        scored = (
            dated_scores(model, training, pool)
            if dates
            else variant_scores(model, training, pool, seed=seed)
        )
        models[name] = {
            left_out: user_metrics(scores, pool.chosen.toarray(), ids)
            .values[:, columns]
            .round(DIGITS)
            .tolist()
            for left_out, scores in scored
        }
    return {
        "seed": seed,
        "people": split.training.num_users,
        "users": pool.task.user_index.tolist(),
        "models": models,
        "seconds": round(time.process_time() - began, 1),
    }


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
