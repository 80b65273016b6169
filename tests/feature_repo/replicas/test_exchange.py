"""What one state folder does to its listings, the other has too; nothing acknowledged is lost."""

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from feature_repo import listing_changes
from feature_repo.environment import ENVIRONMENT_VARIABLE, Environment
from feature_repo.errors import StoreLost
from feature_repo.feature_tables import ITEM_ADAPTATION, ITEM_VECTOR
from feature_repo.home import REPOSITORY, Home
from feature_repo.listing_changes import ListingChanges
from feature_repo.replicas import hearing, rows
from feature_repo.replicas.exchange import Exchange
from feature_repo.replicas.ledger import Ledger
from feature_repo.replicas.rows import FOLDERS, Told
from feature_repo.store import Store
from tests.feature_repo.replicas.conftest import Folder


def test_a_listing_comes_is_updated_learns_and_goes_in_the_other_folder(
    folders: Sequence[Folder],
) -> None:
    here, there = folders
    reader = ListingChanges(there.home)
    here.settle("rug", price=20.0)
    assert here.look() == 1
    assert there.look() == 1
    assert there.prices() == {"chair": 80.0, "rug": 20.0}
    assert there.offline(ITEM_VECTOR.name)[-1]["vector"] == [20.0, 20.0, 20.0]
    assert reader.ids() == ["rug"]

    there.settle("rug", price=25.0)
    there.look()
    here.look()
    assert here.prices() == {"chair": 80.0, "rug": 25.0}
    assert here.offline(ITEM_VECTOR.name)[-1]["vector"] == [25.0, 25.0, 25.0]

    here.learn("chair", 0.5)
    here.look()
    there.look()
    assert [row["bias"] for row in there.offline(ITEM_ADAPTATION.name)] == [0.5]
    assert reader.ids() == ["chair", "rug"]

    there.settle("rug", price=None)
    there.look()
    here.look()
    assert here.prices() == {"chair": 80.0}
    assert [row["item_id"] for row in here.offline(ITEM_VECTOR.name)] == ["chair"]
    assert here.look() == there.look() == 0  # nobody tells what was heard


def test_what_listings_learned_from_an_erased_person_goes_elsewhere_too(
    folders: Sequence[Folder],
) -> None:
    here, there = folders
    here.learn("chair", 0.5)
    here.look()
    there.look()
    here.store.remove_online([ITEM_ADAPTATION.name], ["chair"])
    listing_changes.record(here.home, ["chair"], kind=listing_changes.Kind.LEARNED)
    here.look()
    assert there.look() == 1
    assert there.offline(ITEM_ADAPTATION.name) == []


def test_what_one_learns_does_not_take_back_what_the_other_settled(
    folders: Sequence[Folder],
) -> None:
    here, there = folders
    there.settle("chair", price=60.0)
    there.look()
    here.learn("chair", 0.5)  # and has not heard of the price
    here.look()
    there.look()
    assert here.prices() == there.prices() == {"chair": 60.0}


def test_of_two_updates_at_once_the_later_one_counts_whoever_writes_last(
    folders: Sequence[Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = folders
    here.settle("chair", price=60.0)
    there.settle("chair", price=70.0)
    read = rows.read_listings
    monkeypatch.setattr(rows, "read_listings", lambda *_: {})  # neither sees the other's row
    there_first = (there, here)
    for one in there_first:
        with Ledger.opened(one.home.replicas) as ledger:
            from feature_repo.replicas.telling import tell

            assert tell(one.home, one.store, ledger) == 1
    monkeypatch.setattr(rows, "read_listings", read)
    for _ in range(3):
        here.look()
        there.look()
    assert here.prices() == there.prices() == {"chair": 70.0}


def test_a_clock_that_ran_ahead_elsewhere_does_not_outdo_a_later_change(
    folders: Sequence[Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = folders
    monkeypatch.setattr("time.time_ns", lambda: 4_000_000_000_000_000_000)
    there.settle("chair", price=60.0)
    monkeypatch.undo()
    there.look()
    here.look()
    here.settle("chair", price=65.0)
    here.look()
    there.look()
    assert here.prices() == there.prices() == {"chair": 65.0}


def test_who_comes_later_hears_everything_and_many_fill_several_rows(
    folders: Sequence[Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("feature_repo.replicas.ledger.PAGE_IDS", 3)
    here, there = folders
    for number in range(7):
        here.settle(f"rug-{number}", price=10.0 + number)
        here.look()
    here.settle("rug-1", price=99.0)
    here.look()
    assert there.look() == 7
    assert there.prices() == here.prices()
    with Ledger.opened(here.home.replicas) as ledger:
        assert ledger.pages() == [8, 6, 7]  # rug-1, of the first page, was the last to change


def test_who_was_stopped_while_it_told_tells_again(
    folders: Sequence[Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = folders
    here.settle("rug", price=20.0)
    push = rows.push

    def broken(store: Store, told: dict[str, Told], *, now: datetime) -> None:
        if any("/" not in key for key in told):
            raise StoreLost("gone")
        push(store, told, now=now)

    monkeypatch.setattr(rows, "push", broken)
    with pytest.raises(StoreLost):
        here.look()
    monkeypatch.setattr(rows, "push", push)
    there.look()
    assert "rug" not in there.prices()
    here.look()
    there.look()
    assert there.prices()["rug"] == 20.0
    assert len(rows.read(here.store, [FOLDERS])[FOLDERS].names) == 1


def test_an_emptied_store_is_told_everything_again(folders: Sequence[Folder]) -> None:
    here, there = folders
    here.settle("rug", price=20.0)
    here.settle("vase", price=30.0)
    here.look()
    with Ledger.opened(here.home.replicas) as ledger:
        name = ledger.fact("folder")
    assert name
    here.store.remove_online(["listing_changes"], [FOLDERS, name, f"{name}/0", "listing/rug"])
    here.look()
    there.look()
    assert there.prices() == {"chair": 80.0, "rug": 20.0, "vase": 30.0}


def test_a_copy_of_a_folder_does_not_speak_for_it(
    folders: Sequence[Folder], environment: object
) -> None:
    here, there = folders
    here.settle("rug", price=20.0)
    here.look()
    home = Home(here.home.root.parent / "copy")
    shutil.copytree(here.home.root, home.root)
    store = Store(home)
    copy = Folder(home, store, Exchange(home, store))
    copy.settle("vase", price=30.0)
    copy.look()
    here.settle("lamp", price=40.0)
    for _ in range(3):
        for one in (here, copy, there):
            one.look()
    assert copy.prices() == here.prices() == there.prices()
    assert set(there.prices()) == {"chair", "rug", "vase", "lamp"}


def test_who_told_nothing_for_too_long_tells_of_the_whole_catalogue(
    folders: Sequence[Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, there = folders
    here.settle("rug", price=20.0)
    here.look()
    monkeypatch.setattr(listing_changes, "FILE_BYTES", 10)
    for number in range(5):
        here.settle(f"vase-{number}", price=5.0)
    here.settle("rug", price=None)
    here.look()
    there.look()
    assert there.prices() == here.prices()
    assert len(there.prices()) == 6


def test_one_process_of_a_folder_looks_at_a_time(folders: Sequence[Folder]) -> None:
    from validation.whole_files import alone

    here, _ = folders
    here.settle("rug", price=20.0)
    with alone(here.home.replicas.with_name(".replicas.lock")):
        assert here.look() == 0
    assert here.look() == 1


def test_a_store_within_the_state_folder_is_nobody_elses(
    folders: Sequence[Folder], monkeypatch: pytest.MonkeyPatch
) -> None:
    here, _ = folders
    assert Environment.current().online_shared(here.home)
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(REPOSITORY / "feature_store.yaml"))
    assert not Environment.current().online_shared(here.home)
    exchange = Exchange(here.home, here.store)
    here.settle("rug", price=20.0)
    assert exchange.look() == 0
    assert not here.home.replicas.exists()


def test_a_folder_of_an_earlier_release_says_that_it_hears_nothing(
    folders: Sequence[Folder], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    here, _ = folders
    monkeypatch.setattr(here.store, "knows", lambda view: False)
    here.settle("rug", price=20.0)
    assert here.look() == here.look() == 0
    (line,) = [one.message for one in caplog.records if "coldstart apply" in one.message]
    assert "listing_changes is not registered" in line


def test_a_page_that_is_not_there_yet_is_heard_later(folders: Sequence[Folder]) -> None:
    here, there = folders
    now = datetime.now(UTC)
    rows.push(here.store, {"f00": Told(("mark",), (1,)), FOLDERS: Told(("f00",), ())}, now=now)
    assert there.look() == 0
    here.settle("rug", price=20.0)
    told = rows.listing_rows(hearing.catalogue_rows(here.home, ["rug"]), {"rug": 7})
    rows.push(here.store, {"f00/0": Told(("rug",), (1,)), **told}, now=now)
    assert there.look() == 1
    assert there.prices()["rug"] == 20.0
