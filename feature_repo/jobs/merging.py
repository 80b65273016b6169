"""New rows into an embedding table: sorted by item, in memory that does not grow with the table.

Which rows stay is found by DuckDB from ids and hashes alone; their vectors follow range by range.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.feature_tables import CONTENT_HASH, ENCODER_HASH, FeatureTable
from feature_repo.jobs.parts import STRINGS
from feature_repo.jobs.ranges import in_order
from feature_repo.jobs.worklist import Worklist, connection
from validation import tables
from validation.whole_files import replacing


@dataclass(frozen=True, slots=True)
class Merge:
    """What a table is to hold."""

    files: Sequence[Path]
    """Parts, then the table as it was, if there was one."""
    ranks: Sequence[npt.NDArray[np.int64]]
    """For each file: where each of its rows goes, −1 for nowhere."""
    kept: int
    """Rows in all."""
    removed: int
    """Items of the table as it was that have no row any more."""
    changed: bool


def plan(
    *,
    parts: Sequence[Path],
    stored: Path,
    table: FeatureTable,
    encoder_hash: str,
    work: Worklist,
    catalogue: Path,
    item_ids: Collection[str] | None,
    refused: Collection[str],
) -> Merge:
    """Decide which rows stay: of each item one of its present content, the newest parts' first.

    Args:
        item_ids: what was looked at, None for everything. Rows of other items stay while the
            catalogue has them.
        refused: items that can have no row.
    """
    files = [*parts, *([stored] if stored.exists() else [])]
    sizes = [pq.read_metadata(path).num_rows for path in files]
    ranks = [np.full(size, -1, np.int64) for size in sizes]
    before = sizes[-1] if stored.exists() else 0
    if not sum(sizes):
        return Merge(files, ranks, 0, 0, not stored.exists())
    with connection(work.folder, rows=sum(sizes)) as database:
        _register(database, files, refused=refused, item_ids=item_ids)
        database.execute(
            f"""
            CREATE TEMP TABLE stays AS
            SELECT f.number AS file, r.file_row_number AS row, r.{table.key} AS key
            FROM read_parquet(?, filename = true, file_row_number = true) AS r
            JOIN files AS f ON f.name = r.filename
            WHERE r.{ENCODER_HASH} = ?
              AND NOT EXISTS (SELECT 1 FROM refused WHERE refused.key = r.{table.key})
              AND (EXISTS (SELECT 1 FROM read_parquet(?) AS c
                           WHERE c.{tables.ITEM_ID} = r.{table.key}
                             AND c.{CONTENT_HASH} = r.{CONTENT_HASH})
                   OR {_others(table, item_ids)})
            QUALIFY row_number() OVER (
                PARTITION BY r.{table.key} ORDER BY f.number, r.file_row_number) = 1
            """,
            [
                [str(path) for path in files],
                encoder_hash,
                str(work.contents_path),
                *([str(catalogue)] if item_ids is not None else []),
            ],
        )
        kept = _rank(database, ranks)
        removed = 0
        if before:
            ((removed,),) = database.execute(
                f"""SELECT count(DISTINCT {table.key}) FROM read_parquet(?) AS r
                WHERE NOT EXISTS (SELECT 1 FROM stays WHERE stays.key = r.{table.key})""",
                [str(stored)],
            ).fetchall()
    new = sum(sizes) - before
    return Merge(files, ranks, kept, int(removed), bool(new) or kept != before)


def write(merge: Merge, path: Path, *, table: FeatureTable, folder: Path) -> None:
    """Write the rows that stay, by item, in place of the table.

    Args:
        folder: for the ranges meanwhile.
    """
    with (
        replacing(path) as partial,
        pq.ParquetWriter(
            partial, table.schema, compression="zstd", use_dictionary=STRINGS
        ) as writer,
    ):
        for rows in in_order(
            merge.files, merge.ranks, schema=table.schema, folder=folder / "ranges"
        ):
            writer.write_table(rows, row_group_size=rows.num_rows)


def _register(
    database: Any,
    files: Sequence[Path],
    *,
    refused: Collection[str],
    item_ids: Collection[str] | None,
) -> None:
    names = pa.array([str(path) for path in files], pa.string())
    database.register("files", pa.table({"name": names, "number": range(len(files))}))
    for name, keys in (("refused", refused), ("chosen", item_ids or ())):
        database.register(name, pa.table({"key": pa.array(sorted(set(keys)), pa.string())}))


def _others(table: FeatureTable, item_ids: Collection[str] | None) -> str:
    """Whether a row is of an item that was not looked at."""
    if item_ids is None:
        return "false"
    return f"""(NOT EXISTS (SELECT 1 FROM chosen WHERE chosen.key = r.{table.key})
        AND EXISTS (SELECT 1 FROM read_parquet(?) AS i
                    WHERE i.{tables.ITEM_ID} = r.{table.key}))"""


def _rank(database: Any, ranks: Sequence[npt.NDArray[np.int64]]) -> int:
    """Number the rows that stay by item; returns how many there are."""
    done = 0
    for batch in database.sql("SELECT file, row FROM stays ORDER BY key").to_arrow_reader(8_192):
        files, rows = batch.column(0).to_numpy(), batch.column(1).to_numpy()
        places = np.arange(done, done + len(rows))
        for file in np.unique(files):
            chosen = files == file
            ranks[file][rows[chosen]] = places[chosen]
        done += len(rows)
    return done
