from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from feature_repo.erasure.feature_rows import drop_rows
from feature_repo.errors import NotApplied, StoreError
from feature_repo.feature_tables import ITEM_PROFILE, ITEM_VECTOR
from feature_repo.home import Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.jobs.materialize import materialize
from feature_repo.local_stores import HomeSqliteOnlineStore
from feature_repo.read_back import differences, same
from feature_repo.store import Store
from tests.feature_repo.samples import NOW, at, write_items

LISTED = at("2024-01-01")


def test_values_online_that_are_not_the_offline_ones_are_an_error_that_names_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path)
    write_items(home, {"item_id": "sofa", "price": 400.0})
    aggregate(home=home, now=NOW)
    store = Store(home)
    store.apply()
    assert materialize(home=home, store=store).as_dict()["read_back"] == 1
    write_items(home, {"item_id": "sofa", "price": 300.0})
    aggregate(home=home, now=NOW)
    monkeypatch.setattr(Store, "materialize", lambda *_, **__: None)
    with pytest.raises(
        StoreError, match=r"item_profile\.price of sofa: offline 300\.0, online 400"
    ):
        materialize(home=home, store=store)


def test_a_store_that_is_not_applied_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NotApplied):
        materialize(home=Home(tmp_path))


@pytest.mark.parametrize(
    ("left", "right", "equal"),
    [
        (1.0, 1.0, True),
        (float("nan"), None, True),
        ([], None, True),
        ([1.0, float("nan")], [1.0, float("nan")], True),
        ([1.0, 2.0], [2.0, 1.0], False),
        ("a", None, False),
        (0, None, False),
    ],
)
def test_values_are_the_same_only_if_equal_and_nothing_equals_nothing(
    left: object, right: object, equal: bool
) -> None:
    assert same(left, right) is equal


def test_a_difference_names_view_feature_and_entity() -> None:
    names = [column.name for column in ITEM_PROFILE.features]
    offline = {"item_id": "sofa", **dict.fromkeys(names)}
    online = {f"item_profile__{name}": None for name in names}
    assert differences([offline], [online], table=ITEM_PROFILE) == []
    moved = {**online, "item_profile__price": 4.0}
    assert differences([offline], [moved], table=ITEM_PROFILE) == [
        "item_profile.price of sofa: offline None, online 4.0"
    ]


def test_progress_counts_views(tmp_path: Path) -> None:
    store = Store(Home(tmp_path))
    store.apply()
    seen: list[tuple[int, int]] = []
    store.replace(
        "item_vector",
        pd.DataFrame(
            {
                "item_id": ["a"],
                "vector": [[1.0, 2.0]],
                "model": ["m"],
                "event_timestamp": [pd.Timestamp(NOW)],
            }
        ),
        now=NOW,
    )
    materialize(
        home=store.home,
        store=store,
        views=["item_vector", "item_profile"],
        progress=lambda done, total: seen.append((done, total)),
    )
    assert seen == [(1, 2), (2, 2)]


LAMP = {"item_id": "lamp", "vector": [1.0, 2.0], "model": "old"}
RUG = {"item_id": "rug", "vector": [3.0, 4.0], "model": "old"}


def vectors(*rows: dict[str, object], at: pd.Timestamp = LISTED) -> pd.DataFrame:
    return pd.DataFrame([{**row, "event_timestamp": at} for row in rows])


def test_what_is_pushed_or_deleted_while_older_rows_are_written_stays_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, beside = Store(Home(tmp_path)), Store(Home(tmp_path))
    store.apply()
    view = ITEM_VECTOR.name
    store.push(view, vectors(LAMP, RUG), now=NOW)
    write = HomeSqliteOnlineStore.write_wire_rows

    def change() -> None:
        later = NOW + timedelta(minutes=1)
        beside.push(view, vectors({**LAMP, "model": "new"}), now=later)
        beside.push(view, vectors({**LAMP, "item_id": "vase"}), now=later)
        drop_rows(store.home, ITEM_VECTOR, ["rug"])
        beside.remove_online([view], ["rug"])

    def late(*given: object) -> None:
        monkeypatch.setattr(HomeSqliteOnlineStore, "write_wire_rows", write)
        with ThreadPoolExecutor(1) as another:  # whose writes are no part of this transaction
            another.submit(change).result()
        write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(HomeSqliteOnlineStore, "write_wire_rows", late)
    materialize(home=store.home, store=store, views=[view], now=NOW)
    found = store.online([f"{view}:model"], [{"item_id": one} for one in ("lamp", "rug", "vase")])
    assert [row[f"{view}__model"] for row in found] == ["new", None, "old"]
