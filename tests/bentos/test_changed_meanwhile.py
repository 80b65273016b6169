"""Two services change one listing at once: what either acknowledged stays."""

from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest

from bentos.recommender import payloads
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from tests.bentos.fakes import MemoryStore, colour_encoders
from tests.bentos.test_following import both as both
from tests.bentos.two_services import added, shown
from validation import tables


def listed(home: Home) -> dict[str, dict[str, Any]]:
    return {row[tables.ITEM_ID]: row for row in pq.read_table(home.items).to_pylist()}


def change(service: Any, *changes: dict[str, Any]) -> payloads.ListingsResponse:
    given = payloads.UpdateListingsRequest.model_validate({"listings": list(changes)})
    told: payloads.ListingsResponse = service.change_listings(given)
    return told


def remove(service: Any, *item_ids: str) -> None:
    service.remove_listings(payloads.DeleteListingsRequest(item_ids=list(item_ids)))


def while_it_encodes(service: Any, act: Callable[[], object]) -> list[int]:
    """Have something happen once, while the service encodes; returns what it encoded, a batch's
    length each.
    """
    encoders = colour_encoders()
    forward, batches = encoders.text.forward, list[int]()

    def interrupted(batch: Any) -> Any:
        batches.append(len(batch))
        if len(batches) == 1:
            act()
        return forward(batch)

    encoders.text.forward = interrupted
    service._encoders = encoders
    return batches


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ({"price": 65.0}, {"title": "Wool sofa of three"}),
        ({"title": "Wool sofa of three"}, {"price": 65.0}),
    ],
)
def test_what_another_changes_meanwhile_stays_changed(
    both: tuple[Any, Any],
    home: Home,
    store: MemoryStore,
    theirs: dict[str, Any],
    ours: dict[str, Any],
) -> None:
    here, there = both
    told: list[str] = []
    batches = while_it_encodes(
        here, lambda: told.extend(change(there, {"item_id": "sofa", **theirs}).accepted)
    )
    first = change(here, {"item_id": "sofa", **ours}, {"item_id": "lamp", "price": 5.0})
    assert (told, sorted(first.accepted)) == (["sofa"], ["lamp", "sofa"])
    rows = listed(home)
    assert {name: rows["sofa"][name] for name in ("title", "price")} == {**theirs, **ours}
    assert rows["lamp"]["price"] == 5.0
    assert batches == [2, 1]  # the one that was another one meanwhile is encoded again
    assert store.rows["item_text_embedding"]["sofa"]["embedding"] == [len("Wool sofa of three")]
    assert store.rows["item_profile"]["sofa"]["price"] == 65.0
    for one in both:
        one.take_up_listings()
        label = one.shelf.label("sofa")
        assert (label["title"], label["price"]) == ("Wool sofa of three", 65.0)


def test_of_two_changes_of_one_column_the_later_acknowledged_holds(
    both: tuple[Any, Any], home: Home
) -> None:
    here, there = both
    while_it_encodes(here, lambda: change(there, {"item_id": "sofa", "price": 65.0}))
    assert change(here, {"item_id": "sofa", "price": 70.0}).accepted == ["sofa"]
    assert listed(home)["sofa"]["price"] == 70.0


def test_other_listings_that_change_meanwhile_are_no_reason_to_encode_again(
    both: tuple[Any, Any], home: Home
) -> None:
    here, there = both
    batches = while_it_encodes(here, lambda: change(there, {"item_id": "chair", "price": 65.0}))
    assert change(here, {"item_id": "sofa", "price": 70.0}).accepted == ["sofa"]
    assert (listed(home)["sofa"]["price"], listed(home)["chair"]["price"]) == (70.0, 65.0)
    assert batches == [1]


@pytest.mark.parametrize("with_others", [False, True])
def test_what_another_deletes_meanwhile_stays_deleted(
    both: tuple[Any, Any], home: Home, store: MemoryStore, with_others: bool
) -> None:
    here, there = both
    while_it_encodes(here, lambda: remove(there, "sofa"))
    changes = [{"item_id": "sofa", "price": 65.0}]
    changes += [{"item_id": "lamp", "price": 5.0}] * with_others
    told = change(here, *changes)
    assert told.accepted == ["lamp"] * with_others
    assert [row.id for row in told.quarantined] == ["sofa"]
    assert "was deleted while its change was being encoded" in told.quarantined[0].reasons[0]
    assert sorted(listed(home)) == ["chair", "lamp"]
    assert all("sofa" not in rows for rows in store.rows.values())
    for table in FEATURE_TABLES.values():
        if table.key == tables.ITEM_ID:
            stored = pq.read_table(home.feature_table(table.name))[tables.ITEM_ID].to_pylist()
            assert "sofa" not in stored
    for one in both:
        one.take_up_listings()
        assert shown(one) == ["chair", "lamp"]
        assert one.shelf.label("sofa") == {}


def test_a_change_is_judged_beside_what_another_made_of_the_listing(
    both: tuple[Any, Any], home: Home
) -> None:
    here, there = both
    added(there, "rug", price=20.0)
    here.take_up_listings()

    def anew() -> None:
        remove(there, "rug")
        added(there, "rug", price=30.0)

    while_it_encodes(here, anew)
    assert change(here, {"item_id": "rug", "title": "Cotton rug"}).accepted == ["rug"]
    assert (listed(home)["rug"]["title"], listed(home)["rug"]["price"]) == ("Cotton rug", 30.0)


def test_a_listing_that_came_back_from_another_source_is_not_changed(
    both: tuple[Any, Any], home: Home
) -> None:
    here, there = both

    def another() -> None:
        remove(there, "sofa")
        added(there, "sofa", price=30.0)

    while_it_encodes(here, another)
    told = change(here, {"item_id": "sofa", "title": "Cotton sofa"})
    assert told.accepted == []
    assert "belongs to source 'service'" in told.quarantined[0].reasons[0]
    assert listed(home)["sofa"]["title"] == "Wool sofa"
