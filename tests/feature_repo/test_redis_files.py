"""A deleted value is in no file of Redis, whichever it keeps; what it cannot be had of is said."""

import subprocess
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from redis import Redis
from redis.exceptions import ResponseError

from feature_repo import redis_files
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.errors import StoreLost
from feature_repo.feature_tables import USER_HISTORY
from feature_repo.home import REPOSITORY, Home
from feature_repo.redis_files import LOG, SNAPSHOT, write_anew
from feature_repo.store import Store
from tests import redis_servers

USER = "person-zq7x"
NOW = datetime(2026, 6, 1, tzinfo=UTC)
SECONDS = 10.0
KEPT = {
    "both, as in docs/deploy": ("yes", "3600 1"),
    "append-only file": ("yes", ""),
    "snapshot": ("no", "3600 1"),
    "nothing": ("no", ""),
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Redis]:
    port = redis_servers.free_port()
    process: subprocess.Popen[bytes] = redis_servers.start(tmp_path / "redis", port)
    with Redis(port=port) as client:
        yield client
    process.kill()
    process.wait(redis_servers.SECONDS)


def files_with(folder: Path, name: str) -> list[str]:
    return sorted(
        path.name
        for path in folder.rglob("*")
        if path.is_file() and name.encode() in path.read_bytes()
    )


def until(holds: Callable[[], Any]) -> None:
    """Redis removes the files of before a moment after it has written the new ones."""
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("kept", KEPT)
def test_an_erased_person_is_in_no_file_of_redis(
    kept: str, server: Redis, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, snapshots = KEPT[kept]
    server.config_set("appendonly", log)
    server.config_set("save", snapshots)
    port = server.connection_pool.connection_kwargs["port"]
    monkeypatch.setenv("COLDSTART_REDIS", f"127.0.0.1:{port}")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(REPOSITORY / "feature_store.redis.yaml"))
    home, folder = Home(tmp_path / "home"), tmp_path / "redis"
    store = Store(home)
    store.apply()
    until(lambda: not server.info("persistence")["aof_rewrite_in_progress"])
    for user in (USER, "ann"):
        store.push(USER_HISTORY.name, history(user), now=NOW, to="online")
    if snapshots:
        server.save()
    held = files_with(folder, USER)
    assert bool(held) == (kept != "nothing")

    store.remove_online([USER_HISTORY.name], [USER])
    assert files_with(folder, USER) == held
    assert store.forget_deleted() == []
    until(lambda: files_with(folder, USER) == [])
    assert bool(files_with(folder, "ann")) == (kept != "nothing")
    (row,) = store.online([f"{USER_HISTORY.name}:event_count"], [{"user_id": "ann"}])
    assert row["user_history__event_count"] == 1


def history(user: str) -> pd.DataFrame:
    row: dict[str, Any] = {column.name: None for column in USER_HISTORY.features}
    row |= {"history_item_ids": ["lamp"], "history_event_types": ["click"], "event_count": 1}
    return pd.DataFrame([{"user_id": user, "event_timestamp": pd.Timestamp(NOW), **row}])


def test_a_file_that_was_being_written_is_written_once_more(server: Redis, tmp_path: Path) -> None:
    folder = tmp_path / "redis"
    server.config_set("rdb-key-save-delay", 20_000)  # µs: the first writing takes a second
    for number in range(50):
        server.set(f"{USER}-{number}", "x")
    server.bgrewriteaof()
    until(lambda: server.info("persistence")["aof_rewrite_in_progress"])
    server.delete(*(f"{USER}-{number}" for number in range(50)))
    assert write_anew([("Redis", server)]) == []
    until(lambda: files_with(folder, USER) == [])


def test_who_waits_no_longer_is_told_what_still_holds_the_values(server: Redis) -> None:
    server.config_set("rdb-key-save-delay", 20_000)
    for number in range(100):
        server.set(number, "x")
    (told,) = write_anew([("Redis", server)], seconds=0.2)
    assert "append-only file of Redis is still being written anew" in told
    assert "aof_rewrite_in_progress" in told


def test_a_snapshot_that_waits_for_the_other_file_is_written_after_it(
    server: Redis, tmp_path: Path
) -> None:
    server.config_set("save", "3600 1")
    for number in range(30):
        server.set(f"kept-{number}", "x")
    server.set(USER, "x")
    server.save()
    assert "dump.rdb" in files_with(tmp_path / "redis", USER)
    server.delete(USER)
    server.config_set("rdb-key-save-delay", 20_000)  # µs: each file takes 0.6 s
    log, snapshot = write_anew([("Redis", server)], seconds=0.1)
    assert "append-only file of Redis is still being written anew" in log
    assert snapshot == (
        "the snapshot of Redis is written anew once the server has written what it writes now; "
        "LASTSAVE tells when"
    )
    until(lambda: files_with(tmp_path / "redis", USER) == [])


def test_who_cannot_wait_for_a_file_of_before_the_deletion_is_told_that_it_holds_the_values(
    server: Redis, tmp_path: Path
) -> None:
    server.set(USER, "x")
    for number in range(30):
        server.set(f"kept-{number}", "x")
    server.config_set("rdb-key-save-delay", 20_000)
    server.bgrewriteaof()
    until(lambda: server.info("persistence")["aof_rewrite_in_progress"])
    server.delete(USER)
    told = write_anew([("Redis", server)], seconds=0.1)
    assert told == [
        "the append-only file of Redis was not written anew, the server was busy; "
        "BGREWRITEAOF does so"
    ]
    until(lambda: not server.info("persistence")["aof_rewrite_in_progress"])
    assert files_with(tmp_path / "redis", USER)
    server.bgrewriteaof()
    until(lambda: files_with(tmp_path / "redis", USER) == [])


def test_a_server_that_cannot_write_is_a_lost_store(server: Redis, tmp_path: Path) -> None:
    server.config_set("save", "3600 1")
    (tmp_path / "redis" / "dump.rdb").mkdir()  # a file cannot take its place
    with pytest.raises(StoreLost, match="could not write its snapshot anew"):
        write_anew([("Redis", server)])


class Managed:
    """A server of somebody else: it tells what it keeps and takes no such command."""

    def info(self, section: str) -> dict[str, Any]:
        return {
            "persistence": {"aof_enabled": 1, LOG.status: "ok", SNAPSHOT.status: "ok"},
            "replication": {"connected_slaves": 1},
            "cluster": {"cluster_enabled": 0},
        }[section]

    def config_get(self, _: str) -> dict[str, str]:
        raise ResponseError("unknown command 'CONFIG'")

    def execute_command(self, command: str) -> None:
        raise ResponseError(f"unknown command '{command}'")


def test_what_a_managed_server_refuses_is_told() -> None:
    server: Any = Managed()
    log, snapshot, replicas = write_anew([("Redis", server)])
    assert log == (
        "the append-only file of Redis was not written anew, the server refuses BGREWRITEAOF: "
        "unknown command 'BGREWRITEAOF'"
    )
    assert "snapshot" in snapshot
    assert replicas.startswith("1 replica(s) of Redis keep files of their own")


class Busy(Managed):
    """A server that never ends writing its append-only file."""

    def info(self, section: str) -> dict[str, Any]:
        return super().info(section) | {LOG.running[0]: 1, "connected_slaves": 0}

    def config_get(self, _: str) -> dict[str, str]:
        return {"save": ""}

    def execute_command(self, command: str) -> None:
        raise ResponseError("Background append only file rewriting already in progress")


def test_several_servers_together_are_waited_for_no_longer_than_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    servers: Any = [(f"Redis at {number}", Busy()) for number in range(3)]
    clock = Clock()
    monkeypatch.setattr(redis_files, "time", clock)
    told = write_anew(servers, seconds=SECONDS)
    assert [one.split(" was ")[0] for one in told] == [
        f"the append-only file of Redis at {number}" for number in range(3)
    ]
    assert SECONDS <= clock.now < SECONDS + 1


class Clock:
    """Stands still but for who sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
