"""Feast's PostgreSQL online store that takes rows as bytes, in Feast's own table layout.

With ``vector_enabled: true`` and the extension pgvector, a view's vector is also kept as pgvector
holds it, for `FeatureStore.retrieve_online_documents_v2`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Final, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.postgres_online_store.postgres import (
    PostgreSQLOnlineStore,
    PostgreSQLOnlineStoreConfig,
)
from feast.protos.feast.types.Value_pb2 import Value
from psycopg import Connection, sql

from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.wire_rows import WireRows, wire_rows_of_protos

IDENTITY: Final = ("entity_key", "feature_name")
WRITTEN: Final = (*IDENTITY, "value", "value_text", "event_ts", "created_ts")
ARRIVING: Final = {
    "entity_key": "bytea",
    "feature_name": "text",
    "value": "bytea",
    "value_text": "text",
    "event_ts": "timestamptz",
    "created_ts": "timestamptz",
    "number": "int4",
    "vector": "float4[]",
}
"""Columns as they are copied in: those that are written, the row's number and the vector."""
KEYS_AT_ONCE = 10_000


class WirePostgreSQLOnlineStoreConfig(PostgreSQLOnlineStoreConfig):  # type: ignore[misc]
    """Feast's settings."""

    type: Literal["feature_repo.postgres_store.WirePostgreSQLOnlineStore"] = (
        "feature_repo.postgres_store.WirePostgreSQLOnlineStore"
    )


class WirePostgreSQLOnlineStore(PostgreSQLOnlineStore):  # type: ignore[misc]
    """A row a feature of an entity, copied in by PostgreSQL's binary protocol."""

    @contextmanager
    def _get_conn(
        self, config: RepoConfig, autocommit: bool = False
    ) -> Iterator["Connection[Any]"]:
        # Feast's own asks for the type "postgres" by name.
        plain = config.online_store.model_copy(update={"type": "postgres"})
        with super()._get_conn(_Settings(plain), autocommit) as connection:
            yield connection

    def update(self, config: RepoConfig, *args: Any, **kwargs: Any) -> None:
        """Create and drop tables, and the extension where vectors are to be searched."""
        if config.online_store.vector_enabled:
            with self._get_conn(config, autocommit=True) as connection:
                connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        super().update(config, *args, **kwargs)

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: Sequence[tuple[Any, dict[str, Value], datetime, datetime | None]],
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Feast's way in, as a push takes it: the same rows in one transaction."""
        self.write_wire_rows(config, table, wire_rows_of_protos(data))
        if progress:
            progress(len(data))

    def write_wire_rows(self, config: RepoConfig, view: FeatureView, rows: WireRows) -> None:
        """Write the rows in one transaction; the last write of a key stays."""
        event = [moment.replace(tzinfo=UTC) for moment in rows.event_times]
        created = [_aware(moment) for moment in rows.created_times]
        searched = _vector_feature(view) if config.online_store.vector_enabled else None
        written = sql.SQL(", ").join(map(sql.Identifier, WRITTEN))
        arriving = sql.SQL("COPY arriving FROM STDIN (FORMAT BINARY)")
        with self._get_conn(config) as connection, connection.transaction():
            cursor = connection.cursor()
            cursor.execute(
                f"CREATE TEMP TABLE arriving ({', '.join(map(' '.join, ARRIVING.items()))}) "
                "ON COMMIT DROP"
            )
            with cursor.copy(arriving) as copy:
                copy.set_types(list(ARRIVING.values()))
                for row in rows.by_feature(event, created, range(len(rows))):
                    _, feature, value, *_ = row
                    vector = _searchable(value) if feature == searched else None
                    copy.write_row((*row, vector))
            cursor.execute(
                sql.SQL(
                    "INSERT INTO {0} ({1}, vector_value) "
                    "SELECT DISTINCT ON (entity_key, feature_name) {1}, {2} FROM arriving "
                    "ORDER BY entity_key, feature_name, number DESC "
                    "ON CONFLICT (entity_key, feature_name) DO UPDATE SET {3}"
                ).format(
                    _table(config, view),
                    written,
                    sql.SQL("vector::vector" if searched else "NULL"),
                    sql.SQL(", ").join(
                        sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
                        for name in (*WRITTEN[len(IDENTITY) :], "vector_value")
                    ),
                )
            )

    def remove_online(self, config: RepoConfig, view: FeatureView, keys: Sequence[bytes]) -> None:
        """Delete the entities' rows; the server's vacuum frees what they took."""
        asked = sql.SQL("DELETE FROM {} WHERE entity_key = ANY(%s)").format(_table(config, view))
        with self._get_conn(config) as connection, connection.transaction():
            connection.execute(asked, (list(keys),))

    def count_online(self, config: RepoConfig, view: FeatureView, keys: Sequence[bytes]) -> int:
        """How many of the entities have values of the view."""
        asked = sql.SQL("SELECT count(DISTINCT entity_key) FROM {} WHERE entity_key = ANY(%s)")
        found = 0
        with self._get_conn(config, autocommit=True) as connection:
            for first in range(0, len(keys), KEYS_AT_ONCE):
                part = list(keys[first : first + KEYS_AT_ONCE])
                (row,) = connection.execute(asked.format(_table(config, view)), (part,)).fetchall()
                found += row[0]
        return found


class _Settings:
    """The one part of the configuration that Feast's connection reads."""

    def __init__(self, online_store: PostgreSQLOnlineStoreConfig) -> None:
        self.online_store = online_store


def _vector_feature(view: FeatureView) -> str | None:
    """The feature that is searched, if the view has one."""
    table = FEATURE_TABLES.get(view.name)
    return table.vector if table else None


def _searchable(value: bytes) -> list[float] | None:
    """A serialized vector as pgvector takes it: not empty, every number finite."""
    numbers = list(Value.FromString(value).float_list_val.val)
    return numbers if numbers and all(map(math.isfinite, numbers)) else None


def _table(config: RepoConfig, view: FeatureView) -> sql.Identifier:
    versioned = config.registry.enable_online_feature_view_versioning
    return sql.Identifier(compute_table_id(config.project, view, versioned))


def _aware(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)
