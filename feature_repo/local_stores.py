"""The local registry and online store of Feast, found under the state folder.

`feature_store.yaml` names these classes, so that plain Feast and `coldstart` resolve a
relative path alike: under ``COLDSTART_HOME``, or ``feature_repo/data`` where it is not set.
Absolute paths are taken as they are. Feast instantiates them; nothing else imports them.
"""

import os
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Literal, cast

from feast import FeatureView
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import RegistryConfig, RepoConfig
from feast.utils import _utc_now

from feature_repo.home import Home
from feature_repo.store_faults import as_store_lost
from feature_repo.wire_rows import WireRows

KEYS_AT_ONCE = 10_000
"""Keys of one query, below SQLite's limit of variables."""
VACUUM_SECONDS = 30.0
"""How long rewriting the file waits for those who read or write it."""
PAGE_BYTES = 32_768
BUSY_MILLISECONDS = 120_000
"""How long a write waits for another process's: an executor of Spark holds the file while it writes
a batch of rows, on a busy machine for longer than the five seconds that are Python's default."""


def under_home(path: str) -> Path:
    """The path itself if absolute, otherwise the path under the current state folder."""
    return Home.current().root / path


class HomeRegistryStore(FileRegistryStore):  # type: ignore[misc]
    """A registry file under the state folder, replaced atomically."""

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:
        super().__init__(registry_config, repo_path)
        self._filepath = under_home(registry_config.path)

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(_utc_now())
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        partial = self._filepath.with_name(f".{self._filepath.name}.{os.getpid()}.partial")
        partial.write_bytes(registry_proto.SerializeToString())
        os.replace(partial, self._filepath)


class HomeSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc]
    """SQLite online store whose relative path stands under the state folder."""

    type: Literal["feature_repo.local_stores.HomeSqliteOnlineStore"] = (
        "feature_repo.local_stores.HomeSqliteOnlineStore"
    )
    path: str = "online_store.db"


class HomeSqliteOnlineStore(SqliteOnlineStore):  # type: ignore[misc]
    """Feast's SQLite online store under the state folder, in Feast's own table layout."""

    _busy_milliseconds: int = BUSY_MILLISECONDS

    @staticmethod
    def _get_db_path(config: RepoConfig) -> str:
        path = under_home(config.online_store.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)

    def _get_conn(self, config: RepoConfig) -> sqlite3.Connection:
        fresh = self._conn is None
        connection: sqlite3.Connection = super()._get_conn(config)
        if fresh:
            connection.execute(f"PRAGMA busy_timeout = {self._busy_milliseconds}")
            # Heard only by a new file: four vectors of 1,664 floats fit a page.
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        open_writes = _OPEN_WRITES.get()
        if open_writes is None:
            return connection
        open_writes.add(connection)
        return cast(sqlite3.Connection, _Uncommitted(connection))

    def wait_at_most(self, config: RepoConfig, seconds: float) -> None:
        """Wait so long, and not BUSY_MILLISECONDS, while another process holds the file."""
        self._busy_milliseconds = round(1000 * seconds)
        self._get_conn(config).execute(f"PRAGMA busy_timeout = {self._busy_milliseconds}")

    def write_wire_rows(self, config: RepoConfig, view: FeatureView, rows: WireRows) -> None:
        """Write the rows in one transaction; the last write of a key stays."""
        # Seconds since 1970, as Feast's adapter of datetimes writes them; many rows share a time.
        seconds = {
            moment: moment and int(moment.timestamp())
            for moment in {*rows.event_times, *rows.created_times}
        }
        event = [seconds[moment] for moment in rows.event_times]
        created = [seconds[moment] for moment in rows.created_times]
        name = _table(config, view)
        with self._get_conn(config) as connection:
            connection.executemany(
                f'INSERT INTO "{name}" '
                "(entity_key, feature_name, value, value_text, event_ts, created_ts) "
                "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (entity_key, feature_name) DO UPDATE SET "
                "value = excluded.value, value_text = excluded.value_text, "
                "event_ts = excluded.event_ts, created_ts = excluded.created_ts",
                rows.by_feature(event, created),
            )

    def remove_online(self, config: RepoConfig, view: FeatureView, keys: Sequence[bytes]) -> None:
        """Delete the entities' values; their bytes are overwritten in the file."""
        name = _table(config, view)
        connection = self._get_conn(config)
        connection.execute("PRAGMA secure_delete = ON")
        with connection:
            connection.executemany(
                f'DELETE FROM "{name}" WHERE entity_key = ?', [(key,) for key in keys]
            )

    def forget_deleted(self, config: RepoConfig) -> list[str]:
        """Write the file anew, so that pages that once held deleted values are gone: all are."""
        connection = sqlite3.connect(self._get_db_path(config), timeout=VACUUM_SECONDS)
        try:
            connection.execute("PRAGMA secure_delete = ON")
            connection.execute("VACUUM")
        finally:
            connection.close()
        return []

    def count_online(self, config: RepoConfig, view: FeatureView, keys: Sequence[bytes]) -> int:
        """How many of the entities have values of the view."""
        connection, name = self._get_conn(config), _table(config, view)
        found = 0
        for first in range(0, len(keys), KEYS_AT_ONCE):
            part = keys[first : first + KEYS_AT_ONCE]
            ((count,),) = connection.execute(
                f'SELECT count(DISTINCT entity_key) FROM "{name}" '
                f"WHERE entity_key IN ({', '.join('?' * len(part))})",
                part,
            )
            found += count
        return found


@contextmanager
def one_transaction() -> Iterator[None]:
    """What this thread writes online inside is there at once, or not at all where it fails.

    A commit waits for the disk several times, whatever it writes. Online stores other than SQLite
    write as ever. A block inside another is part of it. Raises StoreLost where the file is locked
    or its disk full.
    """
    if _OPEN_WRITES.get() is not None:
        yield
        return
    connections: set[sqlite3.Connection] = set()
    token = _OPEN_WRITES.set(connections)
    try:
        yield
        with as_store_lost():
            for connection in connections:
                connection.commit()
    except BaseException:
        for connection in connections:
            connection.rollback()
        raise
    finally:
        _OPEN_WRITES.reset(token)


_OPEN_WRITES: ContextVar[set[sqlite3.Connection] | None] = ContextVar("open_writes", default=None)
"""Connections that this thread's `one_transaction` is to commit."""


class _Uncommitted:
    """A connection of which a ``with`` block commits nothing."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __enter__(self) -> "_Uncommitted":
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _table(config: RepoConfig, view: FeatureView) -> str:
    versioned = config.registry.enable_online_feature_view_versioning
    return str(compute_table_id(config.project, view, versioned))
