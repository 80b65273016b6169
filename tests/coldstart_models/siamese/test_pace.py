"""Items that sell at known paces: what is usual, faster and slower is known exactly."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coldstart_models.data.episodes import first_users
from coldstart_models.data.shop_clock import HOUR_US, ShopClock
from coldstart_models.ranker import TrainingSet
from coldstart_models.siamese.pace import FEWEST, GRID, Pace, spans
from tests.coldstart_models.checkerboard import titled, training_of

CUSTOMERS = 13


def launches(*, items: int = 40) -> TrainingSet:
    """Item i, launched late in the log, finds a customer every i + 1 hours; one older item."""
    catalogue = titled({f"i{number:02}": f"chair {number}" for number in range(items)})
    rows = [
        (f"u{customer:02}", f"i{item:02}", 300.0 + customer * (item + 1) / 24)
        for item in range(items)
        for customer in range(CUSTOMERS)
    ]
    return training_of([*rows, ("first", "i00", 0.0)], catalogue)


@pytest.fixture
def pace() -> Pace:
    learned = Pace()
    learned.learn(launches())
    return learned


@torch.no_grad()
def bias(pace: Pace, customers: float, span: float) -> float:
    """z of customers who came evenly within so many choices of the shop."""
    later = span * (customers - 1 - (customers - 1) // 2) / max(customers - 1, 1)
    found = pace(torch.tensor([customers]), torch.tensor([[span, later]]))[0]
    return float(found[0])


def test_what_is_usual_is_the_launches_own_pace(pace: Pace) -> None:
    log = launches().interactions
    clock, start = ShopClock.of(log.time_us), int(log.first_time_us()[1])
    hours = np.arange(2, 41)  # between customers; item 0 is older than the launches
    for part, since in enumerate((0, 4)):
        ends = [clock.read(start + turn * hours * HOUR_US) for turn in (since, 9)]
        usual = float(pace.usual[part, GRID.index(10)])
        assert usual == pytest.approx(np.median(ends[1] - ends[0]), rel=1e-6)


def test_a_listing_of_a_busy_season_is_not_taken_for_one_that_sells_well() -> None:
    """Launches one after the other that are as well liked; from the middle on ten times as many
    people come to the shop."""
    rows, day = [("first", "old", 0.0)], 40.0
    for item in range(2 * FEWEST):
        apart = 1.0 if item < FEWEST else 0.1
        for turn in range(11):
            rows.append((f"u{turn:02}", f"i{item:02}", day))
            rows += [(f"c{one}", "old", day + one * apart / 5) for one in range(5)]
            day += apart
    names = {f"i{item:02}": f"chair {item}" for item in range(2 * FEWEST)} | {"old": "lamp"}
    training = training_of(rows, titled(names))
    pace = Pace()
    pace.learn(training)
    listings = np.flatnonzero(training.catalogue.item_ids != "old")
    support = first_users(training.interactions, listings, shots=10)
    owner = torch.from_numpy(np.searchsorted(listings, support.item_index))
    customers, span = spans(owner, torch.from_numpy(support.moments), num_items=len(listings))
    assert pace.relative(customers, span).tolist() == pytest.approx([1.0] * len(listings), rel=0.2)
    _, calendar = spans(owner, torch.from_numpy(support.time_us), num_items=len(listings))
    assert calendar[0, 0] / calendar[-1, 0] == pytest.approx(10.0)


def test_who_sells_faster_than_usual_gains_and_slower_loses(pace: Pace) -> None:
    usual = float(pace.usual[0, GRID.index(10)])
    found = [bias(pace, 10, usual * share) for share in (0.5, 0.8, 1, 1.5, 15)]
    assert found == sorted(found, reverse=True)
    assert found[0] > 0 > found[-1]
    assert abs(found[0]) < 3.0


def test_a_span_is_told_in_units_of_the_usual_one(pace: Pace) -> None:
    usual = float(pace.usual[0, GRID.index(10)])
    customers = torch.tensor([10.0, 10.0, 1.0, 0.0])
    span = torch.tensor([[usual, usual / 2, 9, 9], [1.0, 1.0, 1.0, 1.0]]).T
    assert pace.relative(customers, span).tolist() == pytest.approx([1.0, 0.5, 1.0, 1.0])


def test_of_customers_at_moments_that_nobody_can_tell_it_says_nothing(pace: Pace) -> None:
    owner, moments = torch.zeros(10, dtype=torch.long), torch.full((10,), float("nan"))
    count, span = spans(owner, moments, num_items=2)
    assert pace(count, span).tolist() == [[0.0, 0.0]] * 2
    assert pace.relative(count, span).tolist() == [1.0, 1.0]


def test_one_customer_has_no_pace_and_neither_has_none(pace: Pace) -> None:
    assert bias(pace, 1, 0) == bias(pace, 0, 0) == 0.0


def test_between_the_numbers_looked_at_it_lies_between(pace: Pace) -> None:
    low, middle, high = (bias(pace, customers, 100) for customers in (5, 7, 10))
    assert low < middle < high


def test_beyond_the_launches_it_is_as_at_the_last_that_many_reached(pace: Pace) -> None:
    last = GRID.index(20)
    assert pace.usual[:, last].tolist() == pace.usual[:, GRID.index(10)].tolist()


@pytest.mark.parametrize(
    "change",
    [
        lambda training: replace(training, timed=False),
        lambda training: launches(items=FEWEST - 2),
        lambda training: replace(
            training,
            interactions=replace(
                training.interactions, time_us=np.zeros_like(training.interactions.time_us)
            ),
        ),
    ],
    ids=["no times", "few launches", "one moment"],
)
def test_without_launches_in_time_it_says_nothing(change) -> None:  # type: ignore[no-untyped-def]
    silent = Pace()
    silent.learn(change(launches()))
    assert bias(silent, 10, 1) == 0.0


def test_the_spans_of_several_listings_are_told_apart() -> None:
    owner, moments = torch.tensor([2, 0, 2, 2, 3, 3]), torch.tensor([50, 7, 10, 30, 5, 1])
    count, span = spans(owner, moments, num_items=5)
    assert count.tolist() == [1, 0, 3, 2, 0]
    assert span[:, 0].tolist() == [0, 0, 40, 4, 0]
    assert span[:, 1].tolist() == [0, 0, 20, 4, 0]


def test_without_customers_there_is_no_span() -> None:
    nobody = torch.zeros(0, dtype=torch.long)
    count, span = spans(nobody, nobody, num_items=2)
    assert count.tolist() == [0, 0]
    assert not span.any()
