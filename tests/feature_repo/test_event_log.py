"""The event log in pieces reads as one, whoever appends, merges, ingests or dies meanwhile."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo import event_log as module
from feature_repo.errors import JobError, StoreError
from feature_repo.event_log import EventLog, event_log
from feature_repo.home import Home
from feature_repo.jobs.transaction import locked
from feature_repo.log_state import Position, new_generation, write_base
from tests.feature_repo.samples import events_frame, write_events
from validation import tables

ROOT = Path(__file__).parents[2]


def batch(*ids: str, user: str = "u", item: str = "i") -> pa.Table:
    """Events of these ids, in order, all at one moment."""
    frame = events_frame(*[(user, item, "click", "2024-01-01")] * len(ids))
    return tables.EVENTS.to_arrow(frame.assign(event_id=list(ids)))


def ids(log: EventLog) -> list[str]:
    found: list[str] = log.read([tables.EVENT_ID])[tables.EVENT_ID].to_pylist()
    return found


def files(home: Home) -> list[str]:
    return sorted(path.name for path in home.event_segments.rglob("*.parquet"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def test_an_append_adds_a_small_file_and_leaves_the_large_one(home: Home) -> None:
    write_events(home, events_frame(*[CLICK] * 3))
    before = home.events.read_bytes()
    assert event_log(home).append(batch("e9", "e0", "e10")) == {"e0"}
    assert home.events.read_bytes() == before
    assert files(home) == ["000000000000003-000000000000005-0.parquet"]
    assert ids(EventLog(home)) == ["e0", "e1", "e2", "e9", "e10"]


def test_a_log_that_is_not_there_is_empty_and_the_first_append_makes_it(home: Home) -> None:
    log = event_log(home)
    assert (log.exists(), ids(log), log.changed_at()) == (False, [], 0.0)
    assert log.append(batch("a")) == set()
    assert (log.exists(), ids(log)) == (True, ["a"])
    assert pq.read_schema(home.events).remove_metadata() == tables.EVENTS.schema


def test_known_ids_alone_write_nothing(home: Home) -> None:
    event_log(home).append(batch("a", "b"))
    assert event_log(home).append(batch("b", "a")) == {"a", "b"}
    assert len(files(home)) == 1


def test_enough_small_files_become_one_and_enough_of_those_again(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MERGED", 4)
    log = EventLog(home)
    for number in range(4 * 4):
        log.append(batch(f"e{number}"))
    assert files(home) == [f"{0:015d}-{16:015d}-2.parquet"]
    log.append(batch("last"))
    assert len(files(home)) == 2
    assert ids(EventLog(home)) == [*(f"e{number}" for number in range(16)), "last"]


def test_a_large_merge_is_left_to_aggregate(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_MERGED_ROWS", 20)
    for number in range(20):
        event_log(home).append(batch(f"a{number}", f"b{number}"))
    assert len(files(home)) == 20
    assert event_log(home).compact() == 40
    assert files(home) == []
    assert len(ids(EventLog(home))) == 40


def test_compaction_keeps_order_generation_and_places(home: Home) -> None:
    log = EventLog(home)
    log.append(batch("a", "b"))
    log.append(batch("c"))
    before = log.state()
    assert log.compact() == 3
    after = EventLog(home).state()
    assert (after.position, after.base_rows, after.segments) == (before.position, 3, ())
    log.append(batch("d"))
    assert ids(log) == ["a", "b", "c", "d"]
    assert log.state().after(2, [tables.EVENT_ID])[tables.EVENT_ID].to_pylist() == ["c", "d"]
    assert log.state().after(3, [tables.EVENT_ID])[tables.EVENT_ID].to_pylist() == ["d"]
    assert log.compact() == 1
    assert log.compact() == 0


def test_small_files_go_when_the_large_one_is_on_the_disk(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(home)
    log.append(batch("a"))
    on_disk: set[int] = set()
    fsync, unlink, gone = os.fsync, Path.unlink, []

    def synced(handle: int) -> None:
        fsync(handle)
        on_disk.add(os.fstat(handle).st_ino)

    def removed(path: Path, *, missing_ok: bool = False) -> None:
        if path.suffix == ".parquet":
            gone.append(path.name)
            assert {home.events.stat().st_ino, home.events.parent.stat().st_ino} <= on_disk
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "unlink", removed)
    assert log.compact() == 1
    assert gone == [f"{0:015d}-{1:015d}-0.parquet"]


def test_the_first_append_has_every_name_on_the_disk(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the empty large file too: its generation names the small files' folder."""
    on_disk: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda handle: on_disk.add(os.fstat(handle).st_ino))
    EventLog(home).append(batch("a"))
    (small,) = home.event_segments.rglob("*.parquet")
    paths = (home.events, small, small.parent, home.event_segments, home.events.parent)
    assert {path.stat().st_ino for path in paths} <= on_disk


def test_a_state_stays_readable_after_its_files_are_gone(home: Home) -> None:
    log = EventLog(home)
    log.append(batch("a"))
    state = log.state()
    other = EventLog(home)
    other.append(batch("b"))
    other.compact()
    assert state.read([tables.EVENT_ID])[tables.EVENT_ID].to_pylist() == ["a"]
    assert ids(log) == ["a", "b"]


def test_small_files_that_aggregate_merged_and_could_not_remove_count_once(home: Home) -> None:
    log = EventLog(home)
    log.append(batch("a"))
    (segment,) = log.state().segments
    kept = segment.path.read_bytes()
    log.append(batch("b"))
    log.compact()
    segment.path.write_bytes(kept)
    assert ids(EventLog(home)) == ["a", "b"]


def test_a_log_written_anew_forgets_the_small_files_of_the_one_before(home: Home) -> None:
    log = EventLog(home)
    log.append(batch("a"))
    assert log.state().position.rows == 1
    write_base(batch("x", "y"), home.events, generation=new_generation())
    assert ids(log) == ["x", "y"]
    log.forget_replaced()
    assert files(home) == []
    assert log.state().position != Position("0", 2)


def test_files_that_do_not_join_up_are_an_error_that_says_what_to_do(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    write_events(home, events_frame(*[CLICK] * 3))
    event_log(home).append(batch("n"))
    write_events(home, events_frame(CLICK))
    with pytest.raises(StoreError, match=r"do not follow on.*Move .*events\.d away"):
        EventLog(home).read()


CLICK = ("a", "x", "click", "2024-01-01")


def test_a_file_of_another_program_has_the_generation_of_its_content(
    home: Home, tmp_path: Path
) -> None:
    write_events(home, events_frame(CLICK, CLICK))
    generation = EventLog(home).state().generation
    copy = Home(tmp_path / "copy")
    write_events(copy, events_frame(CLICK, CLICK))
    assert EventLog(copy).state().generation == generation
    event_log(copy).append(batch("n"))
    event_log(copy).compact()
    assert EventLog(copy).state().position == Position(generation, 3)
    write_events(copy, events_frame(CLICK, ("b", "x", "click", "2024-01-01")))
    assert EventLog(copy).state().generation != generation


def test_a_longer_file_does_not_take_the_small_files_of_the_one_before(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    write_events(home, events_frame(CLICK))
    event_log(home).append(batch("n"))
    write_events(home, events_frame(CLICK, CLICK, CLICK))
    with pytest.raises(StoreError, match=r"do not follow on.*Move .*events\.d away"):
        event_log(home).read()
    home.event_segments.rename(home.root / "away")
    assert ids(event_log(home)) == ["e0", "e1", "e2"]


def test_a_copied_folder_has_every_event(home: Home, tmp_path: Path) -> None:
    import shutil

    event_log(home).append(batch("a"))
    event_log(home).compact()
    event_log(home).append(batch("b"))
    copy = Home(tmp_path / "copy")
    shutil.copytree(home.root, copy.root)
    assert ids(EventLog(copy)) == ["a", "b"]


def test_another_files_content_is_named(home: Home) -> None:
    home.events.parent.mkdir(parents=True)
    home.events.write_text("broken")
    with pytest.raises(JobError, match=r"events\.parquet is not the events table"):
        event_log(home).read()


@pytest.mark.parametrize("indexed_from", [0, 10**9])
@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 4), st.integers(0, 3)), max_size=8),
        max_size=12,
    ),
    compactions=st.sets(st.integers(0, 11)),
)
def test_look_ups_are_those_of_a_plain_list(
    tmp_path_factory: pytest.TempPathFactory,
    indexed_from: int,
    batches: list[list[tuple[int, int, int]]],
    compactions: set[int],
) -> None:
    log = EventLog(Home(tmp_path_factory.mktemp("log")))
    held: dict[str, tuple[str, str]] = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "INDEXED_FROM", indexed_from)
        for number, rows in enumerate(batches):
            new = {f"e{event}": (f"u{user}", f"i{item}") for event, user, item in rows}
            given = [("", "", "click", "2024-01-01")] * len(new)
            frame = events_frame(*given).assign(
                event_id=list(new),
                user_id=[user for user, _ in new.values()],
                item_id=[item for _, item in new.values()],
            )
            assert log.append(tables.EVENTS.to_arrow(frame)) == set(new) & set(held)
            held |= {name: pair for name, pair in new.items() if name not in held}
            if number in compactions:
                log.compact()
        for place, column in enumerate((tables.USER_ID, tables.ITEM_ID)):
            for wanted in (["u0", "i1"], ["u1", "u3", "i0", "i2", "nobody"], []):
                found = log.rows_where(column, wanted)[tables.EVENT_ID].tolist()
                assert found == [name for name, pair in held.items() if pair[place] in wanted]
        assert ids(EventLog(log_home(log))) == list(held)


def log_home(log: EventLog) -> Home:
    return Home(log.path.parents[1])


def test_an_index_of_another_making_is_made_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "INDEXED_FROM", 1)
    event_log(home).append(batch("a", "b"))
    event_log(home).compact()
    (facts,) = home.event_index.glob("*/index.json")
    facts.write_text("{}")
    assert EventLog(home).rows_where(tables.EVENT_ID, ["b"])[tables.EVENT_ID].tolist() == ["b"]
    assert facts.read_text() != "{}"


@pytest.mark.parametrize("harm", ["missing", "empty", "cut off"])
@pytest.mark.parametrize(
    "name", ["index.json", "rows.arrow", "event_id.hashes.npy", "items.arrow", "items.people.npy"]
)
def test_an_index_that_is_not_whole_is_made_anew(
    home: Home, monkeypatch: pytest.MonkeyPatch, name: str, harm: str
) -> None:
    monkeypatch.setattr(module, "INDEXED_FROM", 1)
    event_log(home).append(batch("a", "b"))
    event_log(home).compact()
    (file,) = home.event_index.glob(f"*/{name}")
    whole = file.read_bytes()
    if harm == "missing":
        file.unlink()
    else:
        file.write_bytes(whole[: 0 if harm == "empty" else len(whole) // 2])
    log = EventLog(home)
    assert log.rows_where(tables.EVENT_ID, ["b"])[tables.EVENT_ID].tolist() == ["b"]
    assert log.of_items(["i"]) is not None
    assert file.read_bytes() == whole


def test_equal_hashes_do_not_mix_rows(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INDEXED_FROM", 1)
    monkeypatch.setattr(
        "feature_repo.event_index.hashed", lambda values: np.zeros(len(values), np.uint64)
    )
    event_log(home).append(batch("a", "b"))
    event_log(home).append(batch("c", user="v"))
    event_log(home).compact()
    assert event_log(home).append(batch("b", "z")) == {"b"}
    assert event_log(home).rows_where(tables.USER_ID, ["v"])[tables.EVENT_ID].tolist() == ["c"]


def test_readers_and_compactions_beside_appends_see_a_prefix_of_the_log(home: Home) -> None:
    total = 50
    expected = [f"e{number}" for number in range(total)]

    def append() -> None:
        for name in expected:
            EventLog(home).append(batch(name))

    def compact() -> None:
        while len(ids(EventLog(home))) < total:
            EventLog(home).compact()
            time.sleep(0.005)

    def read() -> int:
        seen = 0
        log = EventLog(home)
        while seen < total:
            found = ids(log)
            assert found == expected[: len(found)]
            assert len(found) >= seen
            seen = len(found)
        return seen

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(work) for work in (append, compact, read, read)]
        for one in done:
            one.result(timeout=120)
    assert ids(EventLog(home)) == expected


def test_an_ingest_meanwhile_makes_compaction_give_way(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(home)
    log.append(batch("a"))
    monkeypatch.setattr(module, "LOCK_SECONDS", 0.1)
    with locked(home.events.parent):
        assert log.compact() == 0
    assert ids(log) == ["a"]

    def replaced(partial: Path) -> None:
        write_base(batch("new"), home.events, generation=new_generation())

    monkeypatch.setattr(log, "_index_of", replaced)
    assert log.compact() == 0
    assert ids(log) == ["new"]


APPENDER = """
import sys
from pathlib import Path
from feature_repo.event_log import EventLog
from feature_repo.home import Home
from tests.feature_repo.test_event_log import batch

log = EventLog(Home(Path(sys.argv[1])))
for number in range(10_000):
    log.append(batch(f"{sys.argv[2]}-{number}"))
    print(number, flush=True)
"""


def test_two_processes_append_and_one_is_killed_and_nothing_said_to_be_there_is_lost(
    home: Home,
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", APPENDER, str(home.root), name],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name in ("one", "two")
    ]
    said: list[Sequence[str]] = []
    for process in started:
        assert process.stdout is not None
        while process.stdout.readline() != "12\n":
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        rest, _ = process.communicate(timeout=60)
        said.append(["12", *rest.split()])
    found = pd.Series(ids(EventLog(home)))
    assert found.is_unique
    for name, lines in zip(("one", "two"), said, strict=True):
        numbers = [int(one.split("-")[1]) for one in found if one.startswith(name)]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= int(lines[-1]) + 1
    assert event_log(home).append(batch("after")) == set()
