"""What is online stays that of the log's newest events beside whatever else writes it."""

import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from coldstart_models.commands import materialize as command
from coldstart_models.event_intake import take_events
from coldstart_models.online_push import caught_up, is_behind, push_online
from coldstart_models.user_history import UserHistory
from feature_repo.errors import StoreError
from feature_repo.feature_tables import FEATURE_TABLES, ITEM_ADAPTATION, USER_HISTORY
from feature_repo.home import HOME_VARIABLE, Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.behaviour import USER_BEHAVIOUR
from feature_repo.jobs.materialize import materialize
from feature_repo.offline_tables import read_rows
from feature_repo.store import PushTo, Store
from tests.bentos.fakes import CountingRecommender
from tests.feature_repo.samples import events_frame, write_events, write_items
from validation import tables

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LAST = len(FEATURE_TABLES)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Ann and Bob clicked the lamp, and the offline tables say so."""
    home = Home(tmp_path / "home")
    write_items(home, *({"item_id": name, "title": name, "price": 5.0} for name in ("lamp", "rug")))
    clicks = [(user, "lamp", "click", "2026-01-01") for user in ("ann", "bob")]
    write_events(home, events_frame(*clicks))
    aggregate(home=home, now=NOW)
    return home


@pytest.fixture
def store(home: Home) -> Store:
    store = Store(home)
    store.apply()
    return store


def click(
    home: Home, store: Any, event_id: str, user: str, item: str, *, recommender: Any = None
) -> None:
    """As the service or a consumer takes it in."""
    row = {"event_id": event_id, "user_id": user, "item_id": item, "event_type": "click"}
    frame = pd.DataFrame(
        [{**row, "event_timestamp": datetime(2026, 2, 1, tzinfo=UTC), "source": "test"}],
        columns=tables.EVENTS.names,
        dtype=object,
    )
    take_events(frame, home=home, store=store, recommender=recommender, now=NOW)


def history(store: Store, user: str) -> list[str] | None:
    (row,) = store.online([f"{USER_HISTORY.name}:history_item_ids"], [{"user_id": user}])
    found: list[str] | None = row[f"{USER_HISTORY.name}__history_item_ids"]
    return found


def after_the_last_view(work: Callable[[], object]) -> Callable[[int, int], None]:
    """Progress of a materialization that does some work when all views are online."""
    return lambda done, _: work() if done == LAST else None


def test_an_event_taken_in_during_a_materialization_is_no_difference(
    home: Home, store: Store
) -> None:
    done = materialize(
        home=home,
        store=store,
        progress=after_the_last_view(lambda: click(home, store, "new", "ann", "rug")),
    )
    assert history(store, "ann") == ["lamp", "rug"]
    everybody = store.read_back()
    assert "user_history.history_item_ids of ann" in everybody.differences[0]
    assert everybody.checked - done.read_back.checked == len(USER_BEHAVIOUR)  # Ann's rows


def test_what_others_wrote_online_wrongly_is_still_a_difference(home: Home, store: Store) -> None:
    def spoil() -> None:
        rows = read_rows(home, USER_HISTORY.name).to_pandas()
        bob = rows[rows[tables.USER_ID] == "bob"].assign(event_count=7)
        store.push(USER_HISTORY.name, bob, now=NOW, to=PushTo.ONLINE)
        click(home, store, "new", "ann", "rug")

    with pytest.raises(StoreError, match=r"user_history\.event_count of bob: offline 1, online 7"):
        materialize(home=home, store=store, progress=after_the_last_view(spoil))


def test_a_materialization_that_fails_leaves_no_older_state_online(
    home: Home, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise StoreError("the store went away")

    click(home, store, "new", "ann", "rug")
    monkeypatch.setenv(HOME_VARIABLE, str(home.root))
    monkeypatch.setattr(Store, "read_back", fail)
    with pytest.raises(StoreError, match="went away"):
        command.run()
    assert history(store, "ann") == ["lamp", "rug"]


def test_an_aggregation_during_a_materialization_hides_no_event(home: Home, store: Store) -> None:
    """It moves the place up to which the offline tables reach; what went online is older."""
    click(home, store, "new", "ann", "rug")
    with caught_up(home, store, now=NOW):
        materialize(
            home=home,
            store=store,
            progress=after_the_last_view(lambda: aggregate(home=home, now=NOW)),
        )
        assert history(store, "ann") == ["lamp"]
    assert history(store, "ann") == ["lamp", "rug"]


def beside(work: Callable[[], object]) -> None:
    """Do it in another thread, which a lock that this one holds would hold up for ever."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()


class Learning(CountingRecommender):
    """It does some work, once, when it has begun to learn."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__({"lamp": 0.5, "rug": 0.5})
        self._meanwhile: Callable[[], object] | None = meanwhile

    def adapt(
        self, item_id: str, supporters: Sequence[UserHistory], *, moments: Sequence[float]
    ) -> pd.DataFrame:
        learned = super().adapt(item_id, supporters, moments=moments)
        work, self._meanwhile = self._meanwhile, None
        if work:
            work()
        return learned


def support(store: Store, item: str) -> int | None:
    (row,) = store.online([f"{ITEM_ADAPTATION.name}:support"], [{"item_id": item}])
    found: int | None = row[f"{ITEM_ADAPTATION.name}__support"]
    return found


def test_features_go_online_while_a_listing_learns(home: Home, store: Store) -> None:
    def others() -> None:
        beside(lambda: click(home, store, "second", "bob", "rug"))
        seen.append((history(store, "bob"), support(store, "rug")))

    seen: list[tuple[list[str] | None, int | None]] = []
    click(home, store, "first", "ann", "rug", recommender=Learning(others))
    assert seen == [(["lamp", "rug"], None)]
    assert support(store, "rug") == 1
    assert is_behind(home)
    push_online(home, store, recommender=Learning(lambda: None), now=NOW)
    assert (support(store, "rug"), is_behind(home)) == (2, False)


def test_what_was_learned_from_fewer_events_does_not_replace_what_was_from_more(
    home: Home, store: Store
) -> None:
    faster = Learning(lambda: None)
    second = partial(click, home, store, "second", "bob", "rug", recommender=faster)
    slower = Learning(lambda: beside(second))
    click(home, store, "first", "ann", "rug", recommender=slower)
    assert faster.adaptations == [("rug", 2)]
    assert slower.adaptations == [("rug", 1), ("rug", 2)]
    assert support(store, "rug") == 2
    assert read_rows(home, ITEM_ADAPTATION.name)["support"].to_pylist()[-1] == 2
    assert not is_behind(home)
