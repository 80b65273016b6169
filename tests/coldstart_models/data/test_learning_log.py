"""A short log is learned from whole; of a long one, some people and what the draw would lose."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from coldstart_models.data.catalogue import Catalogue
from coldstart_models.data.interactions import Interactions, read_interactions
from coldstart_models.data.known_log import KnownLog
from coldstart_models.data.learning_log import LearningLog, read_learning_log
from coldstart_models.log_clock import LogClock
from feature_repo import log_state
from feature_repo.event_log import event_log
from feature_repo.home import Home
from tests.coldstart_models.checkerboard import titled
from tests.feature_repo.samples import at, events_frame, write_events
from validation import tables

ITEMS = 40
PEOPLE = 300
DAY_US = 86_400_000_000
NEW_FOR_US = 7 * DAY_US


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    """Items, of which the last two were listed late and one was never listed by date."""
    listed = [at("2024-01-01 00:00:00")] * (ITEMS - 3) + [pd.NaT] + [at("2024-02-27 00:00:00")] * 2
    titles = {f"i{number:02d}": f"thing {number}" for number in range(ITEMS)}
    return titled(titles, listed_at=pd.to_datetime(listed, utc=True), price=[10.0] * ITEMS)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    generator = np.random.default_rng(0)
    kinds = ("click", "purchase", "impression")
    rows = [
        (
            f"p{generator.integers(PEOPLE):03d}",
            f"i{generator.integers(ITEMS - 3):02d}",
            kinds[generator.integers(3)],
            str(at("2024-01-01 00:00:00") + pd.Timedelta(int(generator.integers(0, 86_400)), "m")),
        )
        for _ in range(4_000)
    ]
    late = [(f"p{number:03d}", "i38", "click", f"2024-02-2{8 + number % 2} 0{number % 9}:00:00")
            for number in range(9)]  # fmt: skip
    home = Home(tmp_path_factory.mktemp("learning") / "home")
    write_events(home, events_frame(*rows, *late, ("p001", "gone", "click", "2024-02-28 00:00:00")))
    return home


def learned(home: Home, catalogue: Catalogue, *, most: int) -> LearningLog:
    state = event_log(home).state()
    return read_learning_log(state, catalogue, new_for_us=NEW_FOR_US, shots=5, most=most)


def whole(home: Home, catalogue: Catalogue) -> Interactions:
    return read_interactions(tables.EVENTS.to_pandas(event_log(home).read()), catalogue)


def assert_same(found: Interactions, expected: Interactions) -> None:
    assert found.user_ids.tolist() == expected.user_ids.tolist()
    assert found.num_items == expected.num_items
    for name in ("user_index", "item_index", "time_us", "traits"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def people(log: Interactions) -> set[str]:
    return set(log.user_ids.tolist())


def test_a_short_log_is_learned_from_as_it_is(
    home: Home, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_state, "READ_ROWS", 300)
    found, expected = learned(home, catalogue, most=10_000), whole(home, catalogue)
    assert_same(found.drawn, expected)
    assert found.first is found.drawn
    assert found.share == 1.0
    assert found.events == len(expected)
    assert found.chosen.tolist() == (expected.item_users() > 0).tolist()
    assert np.flatnonzero(found.new).tolist() == [ITEMS - 3, ITEMS - 2, ITEMS - 1]
    assert not found.chosen[ITEMS - 3]


def test_of_a_long_log_people_are_drawn_with_all_they_did(home: Home, catalogue: Catalogue) -> None:
    found, expected = learned(home, catalogue, most=700), whole(home, catalogue)
    assert found.share == pytest.approx(700 / len(expected))
    assert 350 < len(found.drawn) < 1_400
    drawn = np.isin(expected.user_ids, found.drawn.user_ids)
    kept = expected.where(drawn[expected.user_index])
    assert len(found.drawn) == len(kept)
    np.testing.assert_array_equal(found.drawn.item_index, kept.item_index)
    np.testing.assert_array_equal(found.drawn.traits, kept.traits)
    smaller = learned(home, catalogue, most=200)
    assert people(smaller.drawn) < people(found.drawn)


def test_what_was_chosen_and_by_whom_first_is_known_whoever_is_drawn(
    home: Home, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_state, "READ_ROWS", 300)
    found, expected = learned(home, catalogue, most=60), whole(home, catalogue)
    assert found.chosen.tolist() == (expected.item_users() > 0).tolist()
    assert (found.drawn.item_users() > 0).sum() < found.chosen.sum()
    late = expected.where(expected.item_index == ITEMS - 2)
    assert people(found.first) == {str(late.user_ids[user]) for user in late.user_index[:5]}
    for user_id in people(found.first):  # with all they did
        place = int(np.searchsorted(expected.user_ids, user_id))
        own = int(np.searchsorted(found.first.user_ids, user_id))
        assert (found.first.user_index == own).sum() == (expected.user_index == place).sum()


@pytest.mark.parametrize("most", [10_000, 700], ids=["everybody", "some people"])
def test_the_shops_clock_counts_what_is_in_no_catalogue_any_more(
    home: Home, catalogue: Catalogue, most: int
) -> None:
    found, served = learned(home, catalogue, most=most), LogClock(home).now()
    assert int(served.counts.sum()) == found.events + 1  # the one on what is gone
    for log in (found.first, whole(home, catalogue)):
        assert log.clock.starts.tolist() == served.starts.tolist()
        assert log.clock.counts.tolist() == served.counts.tolist()
    all_they_did = event_log(home).read([tables.USER_ID, tables.EVENT_TYPE]).to_pandas()
    own = all_they_did[all_they_did[tables.USER_ID].isin(people(found.drawn))]
    positive = own[tables.EVENT_TYPE].isin(tables.POSITIVE_EVENT_TYPES)
    assert int(found.drawn.clock.counts.sum()) == int(positive.sum())


def test_an_empty_log_says_that_nobody_chose_anything(tmp_path: Path, catalogue: Catalogue) -> None:
    home = Home(tmp_path / "home")
    write_events(home, events_frame(("ann", "i00", "impression", "2024-01-01 00:00:00")))
    found = learned(home, catalogue, most=10)
    assert (len(found.drawn), found.events, found.chosen.any()) == (0, 0, False)
    assert found.new.all()


@pytest.mark.parametrize("most", [10_000, 300])
def test_of_a_log_that_goes_on_nothing_later_is_known(
    home: Home, catalogue: Catalogue, tmp_path: Path, most: int
) -> None:
    """As of a log that ends then: its events, its clock, what was chosen and who is new."""
    then = at("2024-02-01 12:00:00")
    rows = tables.EVENTS.to_pandas(event_log(home).read())
    ended = Home(tmp_path / "ended")
    write_events(ended, rows[rows["event_timestamp"] <= then].reset_index(drop=True))
    expected = learned(ended, catalogue, most=most)
    known = KnownLog(event_log(home).state(), then.to_pydatetime())
    found = read_learning_log(known, catalogue, new_for_us=NEW_FOR_US, shots=5, most=most)
    for name in ("drawn", "first"):
        assert_same(getattr(found, name), getattr(expected, name))
        ends = np.array([then.value // 1000])
        assert (getattr(found, name).time_us <= ends[0]).all()
        clocks = [getattr(one, name).clock.read(ends) for one in (found, expected)]
        np.testing.assert_array_equal(*clocks)
    assert (found.events, found.share) == (expected.events, expected.share)
    np.testing.assert_array_equal(found.chosen, expected.chosen)
    np.testing.assert_array_equal(found.new, expected.new)
    assert not found.chosen[ITEMS - 2]
    assert learned(home, catalogue, most=most).chosen[ITEMS - 2]


def test_fewer_than_one_event_cannot_be_learned_from(home: Home, catalogue: Catalogue) -> None:
    with pytest.raises(ValueError, match="most is 0"):
        learned(home, catalogue, most=0)
