"""Two services on one state folder: what one takes in, the other serves."""

import time
from typing import Any

import pytest

from bentos.recommender import payloads
from bentos.recommender.following import COUNT_SECONDS
from bentos.recommender.service import RecommenderService
from feature_repo import listing_changes
from feature_repo.event_log import event_log
from feature_repo.home import Home
from feature_repo.log_state import write_base
from tests.bentos.fakes import (
    CLICK,
    PRIOR,
    CountingRecommender,
    MemoryStore,
    colour_encoders,
)
from tests.bentos.two_services import added, shown
from validation import tables


@pytest.fixture
def both(home: Home, store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    """Two services over one online store, each with a recommender of its own."""
    monkeypatch.setattr("feature_repo.store.Store", lambda _: store)
    monkeypatch.setattr(
        "coldstart_models.recommending.Recommender.load",
        lambda home, tag: CountingRecommender(PRIOR),
    )
    services = (RecommenderService.inner(), RecommenderService.inner())
    for one in services:
        one._encoders = colour_encoders()
    return services


def test_a_listing_of_one_is_recommended_and_labelled_by_the_other(both: tuple[Any, Any]) -> None:
    here, there = both
    added(here, "rug", price=20.0)
    assert "rug" not in shown(there)
    there.take_up_listings()
    assert shown(there) == shown(here) == ["chair", "lamp", "rug", "sofa"]
    assert there.shelf.label("rug")["price"] == 20.0


def test_an_update_and_a_deletion_of_one_hold_for_the_other(both: tuple[Any, Any]) -> None:
    here, there = both
    added(here, "rug", "vase")
    there.take_up_listings()
    change = {"item_id": "rug", "price": 35.0}
    there.change_listings(payloads.UpdateListingsRequest.model_validate({"listings": [change]}))
    there.remove_listings(payloads.DeleteListingsRequest(item_ids=["vase", "lamp"]))
    here.take_up_listings()
    assert here.shelf.label("rug")["price"] == 35.0
    assert here.shelf.label("vase") == {}
    assert shown(here) == shown(there) == ["chair", "rug", "sofa"]


def test_what_could_not_be_taken_up_is_taken_up_later(
    both: tuple[Any, Any], store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = both
    added(here, "rug")
    online = store.online

    def broken(*given: Any, **named: Any) -> Any:
        raise OSError("no answer")

    monkeypatch.setattr(store, "online", broken)
    with pytest.raises(OSError, match="no answer"):
        there.take_up_listings()
    monkeypatch.setattr(store, "online", online)
    there.take_up_listings()
    assert "rug" in shown(there)


def test_who_missed_too_much_loads_everything(
    both: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_changes, "FILE_BYTES", 10)
    here, there = both
    for number in range(4):
        added(here, f"rug-{number}")
    there.take_up_listings()
    assert shown(there) == shown(here)
    assert there.shelf.label("rug-0")["title"] == "Wool rug-0"


def test_a_person_that_one_takes_events_of_is_known_to_the_other_at_once(
    both: tuple[Any, Any],
) -> None:
    here, there = both
    event = {"event_id": "e1", "user_id": "bob", "item_id": "sofa", "event_type": "click"}
    assert here.events(payloads.EventsRequest.model_validate({"events": [event]})).accepted == [
        "e1"
    ]
    asked = payloads.RecommendRequest.model_validate(
        {"user_id": "bob", "k": 1, "exclude_seen": False}
    )
    assert there.recommend(asked).fallback is None


def test_sales_are_counted_once_in_a_while_and_at_once_of_a_log_that_was_written_anew(
    both: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = both
    assert "sales" in there.looks()
    moment = 1_000.0
    monkeypatch.setattr("bentos.recommender.following.time.monotonic", lambda: moment)
    there.count_sales()
    here.events(payloads.EventsRequest.model_validate({"events": [CLICK]}))
    there.count_sales()
    counts = there.recommender.counts
    assert len(counts) == 1  # the events of a minute are counted together
    moment += COUNT_SECONDS
    there.count_sales()
    assert counts[1:] == [event_log(there.home).state().position]
    assert counts[1].rows == counts[0].rows + 1
    write_base(tables.EVENTS.schema.empty_table(), there.home.events, generation="anew")
    there.count_sales()
    assert len(counts) == 3


def test_a_listing_is_taken_up_from_a_store_that_is_too_slow_for_requests(
    both: tuple[Any, Any], store: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = both
    added(here, "rug")
    there._online.deadline = 0.01
    online = store.online

    def slow(*given: Any, **named: Any) -> Any:
        time.sleep(0.1)
        return online(*given, **named)

    monkeypatch.setattr(store, "online", slow)
    there.take_up_listings()
    assert "rug" in shown(there)
    assert not there._online.resting


def test_who_could_not_load_everything_does_so_later(
    both: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing_changes, "FILE_BYTES", 10)
    here, there = both
    for number in range(4):
        added(here, f"rug-{number}")
    reload = there.recommender.reload

    def broken(home: Home) -> None:
        raise OSError("too many open files")

    monkeypatch.setattr(there.recommender, "reload", broken)
    with pytest.raises(OSError, match="too many"):
        there.take_up_listings()
    monkeypatch.setattr(there.recommender, "reload", reload)
    there.take_up_listings()
    assert shown(there) == shown(here)
