"""Feast's Redis online store that takes rows as bytes, in Feast's own layout of hashes.

Feast's own write skips a row whose event time is not after the stored one. A corrected row, a
vector of a new model at the listing's old time and a materialization up to an earlier end would
then be dropped without a word; here the last write stays, as in the other stores.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, islice
from typing import Any, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, compute_versioned_name
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig, RedisType
from google.protobuf.timestamp_pb2 import Timestamp
from redis import Redis, ResponseError, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from feature_repo import redis_files
from feature_repo.wire_rows import WireRows

COMMANDS: int = 500
"""Commands sent to the server at once."""
PACKED: int = 100
"""Rows whose commands make one run of bytes: with vectors a good half of a megabyte."""


class WireRedisOnlineStoreConfig(RedisOnlineStoreConfig):  # type: ignore[misc]
    """Feast's settings; rows are never compared with the stored ones before a write."""

    type: Literal["feature_repo.redis_store.WireRedisOnlineStore"] = (
        "feature_repo.redis_store.WireRedisOnlineStore"
    )
    skip_dedup: bool = True


class WireRedisOnlineStore(RedisOnlineStore):  # type: ignore[misc]
    """A hash an entity, with a field a feature and the event time of each view."""

    _patience: float | None = None
    """Seconds that a service waits for the server; None leaves it to the client's defaults."""
    _hurried: Redis | None = None
    """Reads one entity of one view, and gives up by a request's deadline."""

    def wait_at_most(self, config: RepoConfig, seconds: float) -> None:
        """Give up on an answer, or a connection, after so long, and connect anew once.

        By default the client waits for ever, and tries a lost connection for seconds.
        """
        self._patience, self._client = seconds, None
        self._get_client(config.online_store)

    def read_within(self, config: RepoConfig, seconds: float) -> bool:
        """Have reads of one entity and view give up after so long; whether it can be done.

        Only a lost connection is tried anew: an answer that does not come is not waited for twice.
        """
        if config.online_store.redis_type != RedisType.redis:
            return False
        own = WireRedisOnlineStore()
        own.wait_at_most(config, seconds)
        self._hurried = own._get_client(config.online_store)
        self._hurried.set_retry(
            Retry(NoBackoff(), 1, supported_errors=(exceptions.ConnectionError,))
        )
        return True

    def _read_hash_fields(
        self, config: RepoConfig, commands: list[tuple[bytes, list[str | bytes]]]
    ) -> Any:
        if self._hurried is None or len(commands) != 1:
            return super()._read_hash_fields(config, commands)
        return [self._hurried.hmget(*commands[0])]

    def _get_client(self, online_store_config: RedisOnlineStoreConfig) -> Any:
        if self._patience is None or self._client:
            return super()._get_client(online_store_config)
        told = online_store_config.connection_string
        for name in ("socket_timeout", "socket_connect_timeout"):
            if f"{name}=" not in told:
                told += f",{name}={self._patience}"
        hurried = online_store_config.model_copy(update={"connection_string": told})
        client = super()._get_client(hurried)
        if hasattr(client, "set_retry"):
            client.set_retry(Retry(NoBackoff(), 1))
        return client

    def write_wire_rows(self, config: RepoConfig, view: FeatureView, rows: WireRows) -> None:
        """Write the rows; the last write of a key stays."""
        store, client = config.online_store, self._get_client(config.online_store)
        written = _Written(config, view, rows)
        if store.redis_type == RedisType.redis_cluster:
            _write_by_slot(client, written, expiry=store.key_ttl_seconds)
        else:
            write_packed(
                client,
                lambda: written.packed(expiry=store.key_ttl_seconds),
                replies=len(rows) * (2 if store.key_ttl_seconds else 1),
            )

    def remove_online(self, config: RepoConfig, view: FeatureView, keys: Sequence[bytes]) -> None:
        """Delete the view's fields of the entities; a hash without fields is gone."""
        client, project = self._get_client(config.online_store), config.project.encode()
        fields = [_mmh3(f"{_name(config, view)}:{feature.name}") for feature in view.features]
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hdel(key + project, _time_field(config, view), *fields)
            pipe.execute()

    def forget_deleted(self, config: RepoConfig) -> list[str]:
        """Have the server's own files written anew; what still holds deleted values, if any."""
        store, client = config.online_store, self._get_client(config.online_store)
        if store.redis_type != RedisType.redis_cluster:
            return redis_files.write_anew([("Redis", client)])
        nodes = sorted(client.get_nodes(), key=lambda node: node.server_type != "primary")
        return redis_files.write_anew(
            [(f"Redis at {node.name}", client.get_redis_connection(node)) for node in nodes]
        )

    def count_online(self, config: RepoConfig, view: FeatureView, keys: Sequence[bytes]) -> int:
        """How many of the entities have values of the view."""
        client, project = self._get_client(config.online_store), config.project.encode()
        time_field, found = _time_field(config, view), 0
        for first in range(0, len(keys), COMMANDS):
            with client.pipeline(transaction=False) as pipe:
                for key in keys[first : first + COMMANDS]:
                    pipe.hexists(key + project, time_field)
                found += sum(pipe.execute())
        return found


@dataclass(frozen=True, slots=True)
class _Written:
    """Rows of a view as the hashes that Feast reads."""

    config: RepoConfig
    view: FeatureView
    rows: WireRows

    @property
    def fields(self) -> list[bytes]:
        """The time's, then one a feature."""
        name = _name(self.config, self.view)
        features = [_mmh3(f"{name}:{feature}") for feature in self.rows.values]
        return [_time_field(self.config, self.view), *features]

    def hashes(self) -> Iterator[tuple[bytes, ...]]:
        """Key, then the value of each field, row by row."""
        project, moments = self.config.project.encode(), self.rows.event_times
        # Many rows share a time.
        times = {moment: _serialized(moment) for moment in set(moments)}
        keys = (key + project for key in self.rows.keys)
        return zip(keys, map(times.__getitem__, moments), *self.rows.values.values(), strict=True)

    def packed(self, *, expiry: int | None) -> Iterator[bytes]:
        """The commands in Redis' protocol, many of them in a run of bytes."""
        fields = self.fields
        head = b"*%d\r\n$4\r\nHSET\r\n$" % (2 + 2 * len(fields))
        between = [b"\r\n$%d\r\n%b\r\n$" % (len(field), field) for field in fields]
        hashes = self.hashes()
        while some := list(islice(hashes, PACKED)):
            run: list[bytes] = []
            for key, *values in some:
                run += (head, b"%d\r\n" % len(key), key)
                for before, value in zip(between, values, strict=True):
                    run += (before, b"%d\r\n" % len(value), value)
                run.append(b"\r\n")
                if expiry:
                    run.append(pack(b"EXPIRE", key, b"%d" % expiry))
            yield b"".join(run)


def write_packed(client: Redis, runs: Callable[[], Iterable[bytes]], *, replies: int) -> None:
    """Send commands that are bytes already, then hear what the server says of each.

    redis-py's pipeline sends every vector by a call of its own, each of which hands the interpreter
    to the thread that prepares the next rows and waits to get it back.

    Args:
        runs: the commands, to be asked for again where the connection was lost.

    Raises:
        ResponseError: what the server said of the first command that it refused.
    """

    def sent() -> None:
        connection.send_packed_command(runs())
        refused: ResponseError | None = None
        for _ in range(replies):
            try:
                connection.read_response()
            except ResponseError as error:
                refused = refused or error
        if refused is not None:
            raise refused

    connection = client.connection_pool.get_connection()
    try:
        connection.retry.call_with_retry(sent, lambda _: connection.disconnect())
    except BaseException as error:
        # Replies that nobody has read would be taken for those of the next commands.
        if not isinstance(error, ResponseError):
            connection.disconnect()
        raise
    finally:
        client.connection_pool.release(connection)


def pack(*words: bytes) -> bytes:
    """One command in Redis' protocol: the count of its words, then each behind its length."""
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(one), one) for one in words)


def _write_by_slot(client: Any, written: _Written, *, expiry: int | None) -> None:
    """The rows into a cluster: its client knows which server holds which key."""
    fields, hashes = written.fields, written.hashes()
    while some := list(islice(hashes, COMMANDS)):
        with client.pipeline(transaction=False) as pipe:
            for key, *values in some:
                pairs = chain.from_iterable(zip(fields, values, strict=True))
                pipe.execute_command("HSET", key, *pairs)
                if expiry:
                    pipe.expire(key, expiry)
            pipe.execute()


def _serialized(moment: datetime) -> bytes:
    made = Timestamp()
    made.FromDatetime(moment)
    return bytes(made.SerializeToString())


def _name(config: RepoConfig, view: FeatureView) -> str:
    return str(compute_versioned_name(view, config.registry.enable_online_feature_view_versioning))


def _time_field(config: RepoConfig, view: FeatureView) -> bytes:
    return f"_ts:{_name(config, view)}".encode()
