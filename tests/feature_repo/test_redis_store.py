"""Commands that are bytes already: what the server holds, refuses and forgets."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from redis import Redis, ResponseError

from benchmarks.servers import redis_server
from feature_repo import redis_store
from feature_repo.feature_definitions import definitions
from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import Home
from feature_repo.redis_store import WireRedisOnlineStore, WireRedisOnlineStoreConfig, pack
from feature_repo.wire_rows import wire_rows
from tests.feature_repo.feature_samples import awkward_rows

VIEW = "user_history"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with redis_server() as found:
        if found is None:
            pytest.skip("redis-server is not installed")
        yield found


@pytest.fixture
def client(address: str) -> Iterator[Redis]:
    """A client of an empty server."""
    host, port = address.split(":")
    with Redis(host=host, port=int(port)) as client:
        client.flushall()
        yield client


def written(client: Redis, address: str, tmp_path: Any, **settings: Any) -> dict[bytes, Any]:
    """Every hash that the server holds after the view's rows were written."""
    online = WireRedisOnlineStoreConfig(connection_string=address, **settings)
    config: Any = SimpleNamespace(
        online_store=online,
        project="home",
        registry=SimpleNamespace(enable_online_feature_view_versioning=False),
    )
    table = FEATURE_TABLES[VIEW]
    store = WireRedisOnlineStore()
    store._client = client
    rows = wire_rows(awkward_rows(table), table=table)
    store.write_wire_rows(config, definitions(Home(tmp_path))[VIEW], rows)
    found = {key: client.hgetall(key) for key in client.scan_iter()}
    assert len(found) == len(rows)
    return found


def test_a_cluster_is_given_the_same_hashes_as_a_server_alone(
    client, address, tmp_path, monkeypatch
):
    alone = written(client, address, tmp_path)
    client.flushall()
    monkeypatch.setattr(redis_store, "write_packed", None)
    assert written(client, address, tmp_path, redis_type="redis_cluster") == alone


def test_rows_of_more_than_one_run_of_bytes_are_all_there(client, address, tmp_path, monkeypatch):
    at_once = written(client, address, tmp_path)
    client.flushall()
    monkeypatch.setattr(redis_store, "PACKED", 5)
    assert written(client, address, tmp_path) == at_once


@pytest.mark.parametrize("kind", ["redis", "redis_cluster"])
def test_every_hash_expires_where_the_store_says_so(client, address, tmp_path, kind):
    found = written(client, address, tmp_path, key_ttl_seconds=900, redis_type=kind)
    assert all(800 < client.ttl(key) <= 900 for key in found)
    # What was asked next is answered next: no reply of the writes was left unread.
    assert client.get("nothing") is None


def test_a_command_that_the_server_refuses_is_told_and_the_others_are_done(client):
    client.set("text", "not a hash")
    commands = [
        pack(b"HSET", b"first", b"a", b"1"),
        pack(b"HSET", b"text", b"a", b"1"),
        pack(b"HSET", b"last", b"a", b"1"),
    ]
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        redis_store.write_packed(client, lambda: commands, replies=3)
    assert client.hgetall("last") == {b"a": b"1"}
    assert client.get("text") == b"not a hash"


def test_commands_are_sent_again_where_the_connection_was_lost(client, address):
    number = client.client_id()
    host, port = address.split(":")
    with Redis(host=host, port=int(port)) as other:
        assert other.client_kill_filter(_id=number) == 1
    redis_store.write_packed(client, lambda: [pack(b"HSET", b"one", b"a", b"1")], replies=1)
    assert client.hgetall("one") == {b"a": b"1"}
    assert client.client_id() != number


def test_what_fails_while_it_is_made_leaves_a_connection_that_can_be_used(client):
    def broken() -> Iterator[bytes]:
        yield pack(b"HSET", b"one", b"a", b"1")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        redis_store.write_packed(client, broken, replies=2)
    assert client.get("nothing") is None
