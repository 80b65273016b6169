"""Feast's compute engine that writes feature rows online from Arrow, without protobuf messages.

The environments' YAML names it as `batch_engine`, so `feast materialize` is as fast as
`coldstart materialize`. A Parquet source is streamed in bounded memory; any other source is read
by its offline store. An online store that has no `write_wire_rows` gets rows as Feast gives them.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice
from pathlib import Path
from typing import Any, Literal, Protocol

import pyarrow as pa
from feast import FeatureView, FileSource, RepoConfig
from feast.infra.common.materialization_job import MaterializationJobStatus, MaterializationTask
from feast.infra.compute_engines.local.compute import LocalComputeEngine
from feast.infra.compute_engines.local.job import LocalMaterializationJob
from feast.infra.registry.base_registry import BaseRegistry
from feast.repo_config import FeastConfigBaseModel

from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.local_stores import one_transaction
from feature_repo.newest_rows import TableColumns, newest_batches
from feature_repo.wire_rows import WireRows, wire_rows

BATCH = 2_000
"""Rows read, serialized and written at once."""
TOGETHER = 4
"""Batches that a store with transactions commits at once: each commit waits for the disk, and those
who push wait for it."""


class WireRowsOnlineStore(Protocol):
    """An online store of Feast that takes rows as bytes."""

    def write_wire_rows(self, config: RepoConfig, view: FeatureView, rows: WireRows) -> None:
        """Write the rows in one transaction; the last write of a key stays."""


class ArrowEngineConfig(FeastConfigBaseModel):  # type: ignore[misc]
    """Nothing to set but the type."""

    type: Literal["feature_repo.arrow_engine.ArrowEngine"] = "feature_repo.arrow_engine.ArrowEngine"


class ArrowEngine(LocalComputeEngine):  # type: ignore[misc]
    """Newest rows in, bytes out."""

    def _materialize_one(
        self, registry: BaseRegistry, task: MaterializationTask, **kwargs: Any
    ) -> LocalMaterializationJob:
        view = task.feature_view
        if view.name not in FEATURE_TABLES or not hasattr(self.online_store, "write_wire_rows"):
            return super()._materialize_one(registry, task, **kwargs)
        store: WireRowsOnlineStore = self.online_store
        table = FEATURE_TABLES[view.name]
        batches = (wire_rows(batch, table=table) for batch in self._newest(task))
        ready = _ahead(batches)
        for first in ready:
            with one_transaction():
                for rows in chain([first], islice(ready, TOGETHER - 1)):
                    store.write_wire_rows(self.repo_config, view, rows)
        return LocalMaterializationJob(
            job_id=f"{view.name}-{task.start_time}-{task.end_time}",
            status=MaterializationJobStatus.SUCCEEDED,
        )

    def _newest(self, task: MaterializationTask) -> Iterator[pa.RecordBatch]:
        view, source = task.feature_view, task.feature_view.batch_source
        table = FEATURE_TABLES[view.name]
        if isinstance(source, FileSource):
            return newest_batches(
                Path(source.path),
                columns=TableColumns(
                    table.key, source.timestamp_field, source.created_timestamp_column
                ),
                names=table.schema.names,
                size=BATCH,
                start=task.start_time,
                end=task.end_time,
            )
        newest = self.offline_store.pull_latest_from_table_or_query(
            config=self.repo_config,
            data_source=source,
            join_key_columns=[table.key],
            feature_name_columns=[column.name for column in table.features],
            timestamp_field=source.timestamp_field,
            created_timestamp_column=source.created_timestamp_column,
            start_date=task.start_time,
            end_date=task.end_time,
        ).to_arrow()
        return iter(newest.select(table.schema.names).cast(table.schema).to_batches(BATCH))


def _ahead(batches: Iterator[WireRows]) -> Iterator[WireRows]:
    """The batches, each read and serialized by another thread while the last is written.

    One ahead: with more, batches fall out of the processor's cache before they are written.
    """
    with ThreadPoolExecutor(1, thread_name_prefix="newest-rows") as reader:
        coming = reader.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = reader.submit(next, batches, None)
            yield batch
