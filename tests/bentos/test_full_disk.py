"""A disk that is full: events are refused, not acknowledged; the log stays whole and goes on."""

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from starlette.testclient import TestClient

from feature_repo.event_log import MERGED, event_log
from feature_repo.home import Home
from tests.bentos.fakes import CLICK, MemoryStore


def click(number: int, *, words: str = "") -> dict[str, Any]:
    return {**CLICK, "event_id": f"e{number}{words}"}


def logged(home: Home) -> list[str]:
    ids: list[str] = event_log(home).read(["event_id"])["event_id"].to_pylist()
    return ids


def partials(home: Home) -> list[Path]:
    return list(home.events.parent.rglob("*.partial"))


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Callable[[bool], None]:
    """Lets the log's files be written up to their half, or whole again."""
    write = pq.write_table

    def half(table: Any, where: Any, **named: Any) -> None:
        write(table, where, **named)
        if event_segments(where):
            os.truncate(where, Path(where).stat().st_size // 2)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(where))

    def event_segments(where: Any) -> bool:
        return "events.d" in str(where)

    def switch(on: bool) -> None:
        monkeypatch.setattr(pq, "write_table", half if on else write)

    return switch


def test_events_are_refused_with_507_and_taken_once_there_is_room(
    client: TestClient, home: Home, store: MemoryStore, full: Callable[[bool], None]
) -> None:
    assert client.post("/events", json={"events": [click(0)]}).json()["accepted"] == ["e0"]
    full(True)
    answer = client.post("/events", json={"events": [click(1), click(2)]})
    assert (answer.status_code, answer.headers["retry-after"]) == (507, "30")
    assert "nothing was taken in" in answer.json()["error"]
    assert logged(home) == ["e0"]
    assert partials(home) == []
    assert store.rows["user_history"]["bob"]["event_count"] == 1

    full(False)
    taken = client.post("/events", json={"events": [click(1), click(2)]}).json()
    assert (taken["accepted"], taken["duplicates"]) == (["e1", "e2"], [])
    assert logged(home) == ["e0", "e1", "e2"]
    assert store.rows["user_history"]["bob"]["event_count"] == 3


def test_a_merge_that_finds_no_room_takes_nothing_back(
    client: TestClient, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = pq.write_table

    def unless_merging(table: Any, where: Any, **named: Any) -> None:
        if str(where).count("-1.parquet"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(table, where, **named)

    monkeypatch.setattr(pq, "write_table", unless_merging)
    for number in range(MERGED + 1):
        taken = client.post("/events", json={"events": [click(number)]})
        assert taken.json()["accepted"] == [f"e{number}"], taken.text
    assert logged(home) == [f"e{number}" for number in range(MERGED + 1)]


def test_a_recommendation_needs_no_room_in_the_log_of_what_was_served(
    client: TestClient, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_room(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(service._served, "keep", no_room)
    answer = client.post("/recommend", json={"user_id": "ann", "k": 1})
    assert (answer.status_code, answer.json()["fallback"]) == (200, None)


@pytest.fixture
def small_disk(home: Home) -> Iterator[Callable[[str], None]]:
    """A file system of 64 KiB under the log's small files; resizes it."""
    folder = home.event_segments
    folder.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    try:
        made = subprocess.run(mount, capture_output=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no program `mount`")
    if made.returncode:
        pytest.skip(f"no file system may be mounted here: {made.stderr.decode().strip()}")
    try:
        yield (
            lambda size: (
                subprocess.run(["mount", "-o", f"remount,size={size}", str(folder)], check=True)
                and None
            )
        )
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)


def test_a_real_file_system_that_fills_up(
    client: TestClient, home: Home, small_disk: Callable[[str], None]
) -> None:
    acknowledged, refused = [], None
    for number in range(40):
        batch = [click(100 * number + one, words=f"-{os.urandom(24).hex()}") for one in range(40)]
        answer = client.post("/events", json={"events": batch})
        if answer.status_code == 507:
            refused = batch
            break
        acknowledged += answer.json()["accepted"]
    assert refused is not None, "the disk never filled up"
    assert acknowledged
    assert sorted(logged(home)) == sorted(acknowledged)
    assert partials(home) == []

    small_disk("8m")
    again = client.post("/events", json={"events": refused}).json()
    assert sorted(again["accepted"]) == sorted(one["event_id"] for one in refused)
    assert sorted(logged(home)) == sorted([*acknowledged, *again["accepted"]])
