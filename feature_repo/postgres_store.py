"""Feast's PostgreSQL online store that takes rows as bytes, in Feast's own table layout."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Literal

from feast import FeatureView, RepoConfig
from feast.infra.online_stores.helpers import compute_table_id
from feast.infra.online_stores.postgres_online_store.postgres import (
    PostgreSQLOnlineStore,
    PostgreSQLOnlineStoreConfig,
)
from psycopg import Connection, sql

from feature_repo.wire_rows import WireRows

COLUMNS = {
    "entity_key": "bytea",
    "feature_name": "text",
    "value": "bytea",
    "value_text": "text",
    "event_ts": "timestamptz",
    "created_ts": "timestamptz",
}
IDENTITY = ("entity_key", "feature_name")
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

    def write_wire_rows(self, config: RepoConfig, view: FeatureView, rows: WireRows) -> None:
        """Write the rows in one transaction; the last write of a key stays."""
        event = [moment.replace(tzinfo=UTC) for moment in rows.event_times]
        created = [_aware(moment) for moment in rows.created_times]
        table, names = _table(config, view), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
        changes = sql.SQL(", ").join(
            sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name))
            for name in COLUMNS
            if name not in IDENTITY
        )
        with self._get_conn(config) as connection, connection.transaction():
            cursor = connection.cursor()
            cursor.execute(
                sql.SQL(
                    "CREATE TEMP TABLE arriving ON COMMIT DROP AS SELECT {} FROM {} LIMIT 0"
                ).format(names, table)
            )
            arriving = sql.SQL("COPY arriving ({}) FROM STDIN (FORMAT BINARY)").format(names)
            with cursor.copy(arriving) as copy:
                copy.set_types(list(COLUMNS.values()))
                for key, feature, value, text, number in rows.by_feature():
                    copy.write_row((key, feature, value, text, event[number], created[number]))
            cursor.execute(
                sql.SQL(
                    "INSERT INTO {0} ({1}) SELECT {1} FROM arriving "
                    "ON CONFLICT (entity_key, feature_name) DO UPDATE SET {2}"
                ).format(table, names, changes)
            )

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


def _table(config: RepoConfig, view: FeatureView) -> sql.Identifier:
    versioned = config.registry.enable_online_feature_view_versioning
    return sql.Identifier(compute_table_id(config.project, view, versioned))


def _aware(moment: datetime | None) -> datetime | None:
    return moment and moment.replace(tzinfo=UTC)
