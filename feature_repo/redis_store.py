"""Feast's Redis online store that takes rows as bytes, in Feast's own layout of hashes.

Feast's own write skips a row whose event time is not after the stored one. A corrected row, a
vector of a new model at the listing's old time and a materialization up to an earlier end would
then be dropped without a word; here the last write stays, as in the other stores.
"""

from collections.abc import Sequence
from typing import Any, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import _mmh3, compute_versioned_name
from feast.infra.online_stores.redis import RedisOnlineStore, RedisOnlineStoreConfig
from google.protobuf.timestamp_pb2 import Timestamp
from redis.backoff import NoBackoff
from redis.retry import Retry

from feature_repo.wire_rows import WireRows

COMMANDS: int = 500
"""Commands sent to the server at once."""


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

    def wait_at_most(self, config: RepoConfig, seconds: float) -> None:
        """Give up on an answer, or a connection, after so long, and connect anew once.

        By default the client waits for ever, and tries a lost connection for seconds.
        """
        self._patience, self._client = seconds, None
        self._get_client(config.online_store)

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
        client, expiry = self._get_client(config.online_store), config.online_store.key_ttl_seconds
        time_field, project = _time_field(config, view), config.project.encode()
        fields = [_mmh3(f"{_name(config, view)}:{feature}") for feature in rows.values]
        columns = list(rows.values.values())
        for first in range(0, len(rows), COMMANDS):
            with client.pipeline(transaction=False) as pipe:
                for number in range(first, min(first + COMMANDS, len(rows))):
                    key, moment = rows.keys[number] + project, Timestamp()
                    moment.FromDatetime(rows.event_times[number])
                    written = [time_field, moment.SerializeToString()]
                    for field, values in zip(fields, columns, strict=True):
                        written += (field, values[number])
                    pipe.execute_command("HSET", key, *written)
                    if expiry:
                        pipe.expire(key, expiry)
                pipe.execute()

    def remove_online(self, config: RepoConfig, view: FeatureView, keys: Sequence[bytes]) -> None:
        """Delete the view's fields of the entities; a hash without fields is gone."""
        client, project = self._get_client(config.online_store), config.project.encode()
        fields = [_mmh3(f"{_name(config, view)}:{feature.name}") for feature in view.features]
        with client.pipeline(transaction=False) as pipe:
            for key in keys:
                pipe.hdel(key + project, _time_field(config, view), *fields)
            pipe.execute()

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


def _name(config: RepoConfig, view: FeatureView) -> str:
    return str(compute_versioned_name(view, config.registry.enable_online_feature_view_versioning))


def _time_field(config: RepoConfig, view: FeatureView) -> bytes:
    return f"_ts:{_name(config, view)}".encode()
