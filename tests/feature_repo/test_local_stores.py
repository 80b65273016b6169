"""Views that are written together are online at once, or not at all."""

from datetime import UTC, datetime

import pandas as pd
import pytest

from feature_repo.feature_tables import ITEM_ADAPTATION, ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.local_stores import one_transaction
from feature_repo.store import PushTo, Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
VECTOR = {"item_id": ["lamp"], "vector": [[1.0, 2.0]], "model": ["m"]}
LEARNED = {"item_id": ["lamp"], "delta": [[0.5]], "bias": [0.25], "support": [3], "model": ["m"]}
ASKED = [f"{ITEM_VECTOR.name}:model", f"{ITEM_ADAPTATION.name}:support"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    store = Store(Home(tmp_path_factory.mktemp("together")))
    store.apply()
    return store


def push(store: Store, view: str, row: dict[str, list[object]], item: str) -> None:
    frame = pd.DataFrame({**row, "item_id": [item], "event_timestamp": [pd.Timestamp(NOW)]})
    store.push(view, frame, now=NOW, to=PushTo.ONLINE)


def online(home: Home, item: str) -> list[object]:
    """As another process reads it."""
    (row,) = Store(home).online(ASKED, [{"item_id": item}])
    return [row[name.replace(":", "__")] for name in ASKED]


def test_nothing_is_online_before_the_block_ends_and_all_of_it_after(store: Store) -> None:
    with one_transaction():
        push(store, ITEM_VECTOR.name, VECTOR, "lamp")
        push(store, ITEM_ADAPTATION.name, LEARNED, "lamp")
        assert online(store.home, "lamp") == [None, None]
    assert online(store.home, "lamp") == ["m", 3]


def fail_between_two_pushes(store: Store) -> None:
    with one_transaction():
        push(store, ITEM_VECTOR.name, VECTOR, "rug")
        raise KeyboardInterrupt


def test_what_fails_in_the_middle_leaves_nothing(store: Store) -> None:
    with pytest.raises(KeyboardInterrupt):
        fail_between_two_pushes(store)
    assert online(store.home, "rug") == [None, None]
    push(store, ITEM_VECTOR.name, VECTOR, "rug")
    assert online(store.home, "rug") == ["m", None]


def test_a_block_inside_another_waits_for_it(store: Store) -> None:
    with one_transaction():
        with one_transaction():
            push(store, ITEM_VECTOR.name, VECTOR, "shelf")
        assert online(store.home, "shelf") == [None, None]
    assert online(store.home, "shelf") == ["m", None]
