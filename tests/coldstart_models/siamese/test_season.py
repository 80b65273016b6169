"""Seasons: what sold in one of past years is told by content, and a launch is no season."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch

from coldstart_models.data.catalogue import FloatMatrix, IntArray
from coldstart_models.data.interactions import END_OF_TIME
from coldstart_models.data.splits import cutoff_split
from coldstart_models.ranker import RankingTask, TrainingSet
from coldstart_models.siamese import stages
from coldstart_models.siamese.dates import DateTerm, choose_season_weight, early_ranks
from coldstart_models.siamese.network import BARRED, MetaSiamese, score_task
from coldstart_models.siamese.preparing import prepare_each
from coldstart_models.siamese.problems import past_episodes
from coldstart_models.siamese.ranker import SiameseRanker
from coldstart_models.siamese.rehearsing import rehearse, with_shots
from coldstart_models.siamese.season import (
    YEAR_US,
    Season,
    fit_season,
    predictability,
    season_match,
)
from coldstart_models.siamese.training import TrainingRecord
from tests.coldstart_models.checkerboard import (
    START,
    Row,
    catalogue_of,
    interactions_of,
    titled,
    training_of,
)
from validation import tables

KINDS, ITEMS = 3, 12
"""Winter's, summer's and everyday things, in turn."""
WINTER, SUMMER, ALWAYS = range(KINDS)
YEAR = YEAR_US / 86_400_000_000


def sold_in(kind: int, day: float) -> bool:
    """Winter's things go from October to March, summer's in the other half of the year."""
    warm = 0.25 <= day % YEAR / YEAR < 0.75
    return kind == ALWAYS or warm == (kind == SUMMER)


def fitted(days: int, *, launched: int = 0) -> Season:
    """Of a log of so many days in which every thing in season sells on every second day."""
    catalogue = titled({f"i{number:02}": "" for number in range(ITEMS)})
    rows = [
        (f"u{day % 7}", f"i{number:02}", float(day))
        for day in range(0, days, 2)
        for number in range(ITEMS)
        if sold_in(number % KINDS, day) and (number < ITEMS - KINDS or day >= launched)
    ]
    return fit_season(interactions_of(rows, catalogue), {"words": contents()})


def contents() -> FloatMatrix:
    return np.eye(KINDS, dtype=np.float32)[np.arange(ITEMS) % KINDS]


def matches(season: Season, *, day: float) -> npt.NDArray[np.float64]:
    """Of the kinds at the so-manieth day of a year that begins as the log does."""
    start = round(START.timestamp() * 1e6)
    moments = np.full(KINDS, start + round(day * 86_400e6), np.int64)
    kinds = np.eye(KINDS, dtype=np.float32)
    return season_match(season.profiles({"words": kinds}), moments)


def test_what_sold_in_a_season_suits_it_again_in_a_later_year() -> None:
    season = fitted(800)
    january, july = matches(season, day=1100), matches(season, day=1280)
    assert january[WINTER] > january[ALWAYS] + 0.1 > january[SUMMER] + 0.2
    assert july[SUMMER] > july[ALWAYS] + 0.1 > july[WINTER] + 0.2


def test_a_log_of_part_of_a_year_tells_the_half_that_it_has_not_seen() -> None:
    """From January to June: what sold in the cold sells again in autumn, towards its end more."""
    part = fitted(180)
    november, august = matches(part, day=320), matches(part, day=230)
    assert november[WINTER] > november[SUMMER] + 0.2
    assert august[SUMMER] > august[WINTER] + 0.2


def test_a_log_of_less_than_two_months_tells_no_season() -> None:
    short = fitted(60)
    assert not short.map.any()
    assert not matches(short, day=10).any()
    assert fitted(120).map.any()


def test_seasons_that_content_tells_are_predictable_and_chance_is_not() -> None:
    """Of items that the prediction was not fitted on."""
    generator = np.random.default_rng(0)
    catalogue = titled({f"i{number:03}": "" for number in range(200)})
    kinds = generator.integers(KINDS, size=200)
    rows = [
        (f"u{day % 7}", f"i{number:03}", float(day))
        for day in range(0, 180, 5)
        for number, kind in enumerate(kinds)
        if sold_in(kind, day)
    ]
    past = interactions_of(rows, catalogue)
    told = np.eye(KINDS, dtype=np.float32)[kinds]
    untold = generator.standard_normal((200, 20)).astype(np.float32)
    assert predictability(past, {"words": told}) > 0.9
    assert predictability(past, {"words": untold}) < 0.2
    assert predictability(past.where(past.time_us < past.time_us[0] + 1), {"words": told}) == 0


def test_a_launch_is_no_season() -> None:
    """Everyday things that came late sell since then: as everything does since then."""
    at = [matches(fitted(800, launched=day), day=day)[ALWAYS] for day in (0, 500)]
    assert abs(at[1] - at[0]) < 0.05


def test_ranks_of_age_share_ties_and_say_nothing_of_unknown_dates() -> None:
    pool = np.array([10, 20, 20, 30, END_OF_TIME])
    oldest, *tied, newest, unknown = early_ranks(pool, pool)
    assert oldest == -newest > 0
    np.testing.assert_allclose(tied, 0.0, atol=1e-12)
    assert unknown == 0
    before, after = early_ranks(np.array([1, 99]), pool)
    assert before > oldest
    assert after < newest
    assert not early_ranks(np.array([1, 2]), np.array([5, 5])).any()


def seasonal_shop(*, copies: int) -> tuple[pd.DataFrame, list[Row]]:
    """Three years of a shop that lists so many things of each half of the year every ten days.

    Of what came in the last half-year, 96 people choose some of what is in season.
    """
    generator = np.random.default_rng(0)
    words = {WINTER: "tinsel star", SUMMER: "garden parasol"}
    listed = [
        (f"{kind}{launch:03}{copy}", f"{words[kind]} {launch} {copy}", 10.0 * launch, kind)
        for launch in range(110)
        for kind in words
        for copy in range(copies)
    ]
    items = pd.DataFrame(
        {
            tables.ITEM_ID: [one[0] for one in listed],
            tables.TITLE: [one[1] for one in listed],
            tables.LISTED_AT: [START + pd.Timedelta(days=one[2]) for one in listed],
        }
    )

    def choices() -> Iterator[Row]:
        for day in range(5, 1095, 5):
            offered = [one for one in listed if day - 180 < one[2] <= day]
            fitting = [one for one in offered if sold_in(one[3], day)]
            for user in range(96):
                if user % 4 == day // 5 % 4:
                    for rival in (fitting, fitting, fitting, offered):
                        yield f"u{user:02}", rival[generator.integers(len(rival))][0], day

    return items, list(choices())


def fitted_ranker(*, cut: float, copies: int) -> tuple[SiameseRanker, TrainingSet, IntArray]:
    """With dates, on the shop up to a day; and some of what is launched later."""
    items, rows = seasonal_shop(copies=copies)
    catalogue = catalogue_of(items)
    cutoff = START + pd.Timedelta(days=round(cut))
    split = cutoff_split(catalogue, interactions_of(rows, catalogue), cutoff, dated=True)
    training = split.training_set(catalogue)
    ranker = SiameseRanker(meta=False, dates=True)
    ranker.fit(training, seed=0)
    return ranker, training, np.flatnonzero(split.cold)[::3].copy()


def date_term(ranker: SiameseRanker) -> DateTerm:
    assert ranker._model is not None
    term = ranker._model.network.date_term
    assert term is not None
    return term


@pytest.mark.parametrize(
    ("years", "copies"), [(0.8, 8), (2.25, 2)], ids=["part of a year", "two years"]
)
def test_a_model_with_dates_ranks_the_launches_of_the_coming_season_first(
    years: float, copies: int
) -> None:
    """Before the first winter that is seen whole, and before the third summer."""
    ranker, training, cold = fitted_ranker(cut=years * YEAR, copies=copies)
    sign = 1 if years > 1 else -1
    term = date_term(ranker)
    assert float(term.season_weight) > 0
    with_season = sign * summers_lead(ranker, training, cold)
    term.season_weight.zero_()
    assert with_season > sign * summers_lead(ranker, training, cold) + 0.05


def test_when_a_listing_without_a_date_is_first_chosen_is_no_part_of_the_question() -> None:
    """Who is chosen first is chosen most: of a past launch that would be the answer."""
    rows = [
        (f"u{user:02}", f"i{item:03}", item + user / 10)
        for item in range(400)
        for user in range(item % 2, 80, 2)
    ]
    ids = [f"i{item:03}" for item in range(400)]
    titles = {one: f"thing of {int(one[1:]) % 7} parts" for one in ids}
    listed = [START + pd.Timedelta(days=item) for item in range(400)]
    for catalogue, dated in (
        (titled(titles), False),
        (titled(titles, **{tables.LISTED_AT: listed}), True),
    ):
        training = training_of(rows, catalogue)
        _, inputs, _ = stages.unlearned(training, dates=True, seed=0)
        past = past_episodes(training, seed=0, by_time=True)
        episodes = [*past.learning, *past.validation]
        assert past.launches
        assert len(episodes) > 1
        for one in prepare_each(episodes, training, inputs, {}, seed=0, dates=True):
            assert bool(one.dates[:, 0].any()) == dated


def test_first_customers_leave_less_of_a_season_in_rehearsals_as_in_scores() -> None:
    ranker, training, _ = fitted_ranker(cut=0.8 * YEAR, copies=8)
    model, term = ranker._model, date_term(ranker)
    assert model is not None
    past = past_episodes(training, seed=0, by_time=True)
    drawn = with_shots(past.validation, training.interactions, np.random.default_rng(0))
    (one,) = prepare_each([next(iter(drawn))], training, model.inputs, {}, seed=0, dates=True)
    customers = rehearse(model.network, one, launches=True).evidence.customers
    assert set(customers.tolist()) == {1.0}
    season = one.dates[:, 1] * term.season_weight
    assert season.abs().max() > 0.1
    term.season_weight.zero_()
    bare = rehearse(model.network, one, launches=True).scores
    plain = score_task(model.network, one)
    term.season_weight.fill_(float(season.abs().max() / one.dates[:, 1].abs().max()))
    ranked = plain > BARRED / 2
    for found, without in (
        (rehearse(model.network, one, launches=True).scores.numpy(), bare.numpy()),
        (score_task(model.network, one), plain),
    ):
        added = np.broadcast_to((5 / 6 * season).numpy(), found.shape)
        np.testing.assert_allclose((found - without)[ranked], added[ranked], atol=1e-4)


def test_a_season_that_ranks_past_launches_worse_or_that_content_does_not_tell_weighs_nothing() -> (
    None
):
    ranker, training, _ = fitted_ranker(cut=0.6 * YEAR, copies=8)
    model, term = ranker._model, date_term(ranker)
    assert model is not None
    past = past_episodes(training, seed=0, by_time=True)
    episodes = list(
        prepare_each(
            [*past.learning, *past.validation],
            training,
            model.inputs,
            past.seen,
            seed=0,
            dates=True,
        )
    )
    against = torch.tensor([1.0, -3.0])  # so much that no launch is ranked worse by chance alone
    turned = [replace(one, dates=one.dates * against) for one in episodes]
    weights = []
    for given, told in ((episodes, 0.8), (turned, 0.8), (episodes, 0.0), (episodes, 0.4), ([], 1)):
        choose_season_weight(model.network, given, predictability=told)
        weights.append(float(term.season_weight))
    kept, *nothing, half, none = weights
    assert kept == pytest.approx(2 * half)
    assert half > 0
    assert [*nothing, none] == [0.0, 0.0, 0.0]
    choose_season_weight(model.network, [*episodes[:2], turned[2]], predictability=0.8)
    assert float(term.season_weight) > 0  # one of three may be chance


def test_a_model_with_dates_finds_its_season_where_one_without_asked_the_same_past() -> None:
    ranker, training, _ = fitted_ranker(cut=0.8 * YEAR, copies=8)
    alone = date_term(ranker)
    assert float(alone.season_weight) > 0
    past = past_episodes(training, seed=0, by_time=True)
    stages.pretrain(training, dates=False, seed=0, past=past)
    shared = stages.pretrain(training, dates=True, seed=0, past=past).network.date_term
    assert shared is not None
    assert float(shared.season_weight) == pytest.approx(float(alone.season_weight))


def test_weights_are_learned_as_if_there_were_no_season(monkeypatch: pytest.MonkeyPatch) -> None:
    ranker, training, _ = fitted_ranker(cut=0.8 * YEAR, copies=8)
    model, term = ranker._model, date_term(ranker)
    assert model is not None
    kept, seen = float(term.season_weight), []
    assert kept > 0

    def watched(network: MetaSiamese, *_: object, **__: object) -> TrainingRecord:
        assert network.date_term is not None
        seen.append(float(network.date_term.season_weight))
        return TrainingRecord((), 0)

    monkeypatch.setattr(stages, "train", watched)
    stages.fine_tune(model, training, seed=0)
    assert seen == [0.0]
    assert float(term.season_weight) == kept


def summers_lead(ranker: SiameseRanker, training: TrainingSet, cold: IntArray) -> float:
    """By how much the launches of summer's things are scored above winter's."""
    everybody = np.arange(training.interactions.num_users)
    task = RankingTask(everybody, training.interactions.histories(everybody), cold)
    scores, ids = ranker.score(task), training.catalogue.item_ids[cold].astype(str)
    summer = np.char.startswith(ids, str(SUMMER))
    return float(scores[:, summer].mean() - scores[:, ~summer].mean())
