"""A model that was trained with dates scores by them and says so; another knows of none."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
import torch

from coldstart_models.arranging import BEST_FIRST
from coldstart_models.candidates import pool_rows
from coldstart_models.explaining import AGE, SEASON
from coldstart_models.recommending import Recommender
from coldstart_models.siamese.dates import DateTerm
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.season import Season, content_width
from coldstart_models.snapshot import Snapshot
from tests.coldstart_models.checkerboard import no_embeddings, titled
from tests.coldstart_models.siamese.test_sketch import K, history, many
from tests.coldstart_models.test_recommending import HISTORY, history_of, recommender

__all__ = ["many", "recommender"]

JANUARY, JULY = (datetime(2030, month, 15, tzinfo=UTC) for month in (1, 7))


def dated(plain: Recommender, now: datetime, *, snapshot: Snapshot | None = None) -> Recommender:
    """The same with a term of dates, by which the first axis of the words sells in January."""
    network = plain._scoring.network
    widths = network.scorer.widths
    term = DateTerm(content_width(widths))
    axes = np.zeros((content_width(widths), 2), np.float32)
    axes[:, 0] = np.linspace(-1, 1, len(axes))
    term.keep(Season(np.zeros(len(axes), np.float32), axes))
    term.season_weight.fill_(0.4)
    with_dates = MetaSiamese(widths, dates=True, generator=torch.Generator().manual_seed(0))
    with_dates.load_state_dict(network.state_dict(), strict=False)
    with_dates.date_term = term
    return Recommender(
        tag="m:2",
        featurizer=plain._featurizer,
        head=plain._head,
        network=with_dates,
        population=plain._scoring.population,
        snapshot=snapshot or plain._snapshot,
        now=lambda: now,
    )


@pytest.mark.parametrize("personal", [None, 0.0, 0.4, 1.0])
def test_age_and_season_are_named_and_the_parts_sum_to_the_score(
    recommender: Recommender, personal: float | None
) -> None:
    one = dated(recommender, JANUARY)
    for item_id in ("a12", "b13"):
        told = one.explain(HISTORY, item_id, personal=personal)
        assert sum(part.value for part in told.contributions) == pytest.approx(told.score, abs=1e-3)
        (score,) = one.score(HISTORY, [item_id], personal=personal)
        assert told.score == pytest.approx(score)
        own = {part.term: part.value for part in told.contributions if part.term in (AGE, SEASON)}
        assert set(own) == {AGE, SEASON}
        (plain,) = recommender.score(HISTORY, [item_id], personal=personal)
        assert score - plain == pytest.approx(sum(own.values()), abs=1e-5)
        if personal is not None:
            own_part = {
                part.term: part.value
                for part in one.explain(HISTORY, item_id).contributions
                if part.term in own
            }
            assert own == pytest.approx({name: personal * v for name, v in own_part.items()})


def test_who_was_listed_earlier_gains_and_a_listing_of_unknown_date_neither(
    recommender: Recommender,
) -> None:
    one = dated(recommender, JANUARY)
    added = titled({"z1": "oak chair 99"})
    one.add_listings(added.frame, no_embeddings(1), no_embeddings(1))

    def age(item_id: str) -> float:
        parts = one.explain(HISTORY, item_id).contributions
        return sum(part.value for part in parts if part.term == AGE)

    assert age("a12") > age("a13") > age("a15")
    assert age("z1") == 0


def test_half_a_year_later_the_season_turns_and_the_day_decides_not_the_hour(
    recommender: Recommender,
) -> None:
    def seasons(now: datetime) -> list[float]:
        one = dated(recommender, now)
        found = [one.explain(HISTORY, item).contributions for item in ("a12", "b12")]
        return [part.value for parts in found for part in parts if part.term == SEASON]

    january, july = seasons(JANUARY), seasons(JULY)
    assert np.abs(january).min() > 0
    np.testing.assert_allclose(january, np.negative(july), atol=0.05)
    moment = [JANUARY]
    one = dated(recommender, JANUARY)
    one._scoring.calendar._now = lambda: moment[0]
    first = one._scoring.calendar.terms(one._snapshot)
    moment[0] += timedelta(hours=3)
    assert one._scoring.calendar.terms(one._snapshot) is first
    moment[0] += timedelta(days=1)
    assert one._scoring.calendar.terms(one._snapshot) is not first


def test_first_customers_leave_less_of_the_season_and_none_of_the_age_is_lost(
    recommender: Recommender,
) -> None:
    one = dated(recommender, JANUARY)

    def told(term: str) -> float:
        parts = one.explain(HISTORY, "a12").contributions
        return sum(part.value for part in parts if part.term == term)

    season, age = told(SEASON), told(AGE)
    index = one._snapshot.position["a12"]
    delta = np.zeros(one._snapshot.deltas.shape[1], np.float32)
    for customers, left in ((5, 1 / 2), (20, 1 / 5)):
        one._snapshot = one._snapshot.with_delta(index, delta, 0.0, support=customers)
        assert told(SEASON) == pytest.approx(left * season, rel=1e-4)
        assert told(AGE) == pytest.approx(age)


def test_without_dates_nothing_is_added(recommender: Recommender) -> None:
    assert recommender._scoring.calendar.terms(recommender._snapshot) is None
    terms = {part.term for part in recommender.explain(HISTORY, "a12").contributions}
    assert not terms & {AGE, SEASON}


def test_a_strangers_page_is_by_popularity_alone(recommender: Recommender) -> None:
    one = dated(recommender, JANUARY)
    stranger = history_of()
    assert one.score(stranger, ["a12"]) == recommender.score(stranger, ["a12"])


def test_the_best_of_very_many_are_found_by_dates_too(many: Recommender) -> None:
    one = dated(many, JANUARY, snapshot=many._snapshot)
    assert one._scoring.network.date_term is not None
    one._scoring.network.date_term.season_weight.fill_(30.0)  # so that nothing else decides
    given = history(0)
    rows = pool_rows(one._snapshot, "all", exclude=set(given.item_ids))
    scores = np.array(one.score(given, [str(one._snapshot.item_ids[row]) for row in rows]))
    best = rows[BEST_FIRST.order(one._snapshot, rows, scores.astype(np.float32), k=K)]
    found = one.recommend(given, k=K, pool="all", exclude=set(given.item_ids))
    expected = {str(item_id) for item_id in one._snapshot.item_ids[best]}
    assert len(expected & {each.item_id for each in found}) == K
