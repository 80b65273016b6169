"""Vectors on their way online, through the gate once more: they may have lain there for long.

Extraction and training gate what they write. What another program wrote into a feature table, or
an older version of this one, is held back here with the same suite. A vector of nothing but zeros
is unsound where it is what a listing is, and sound where it is what is added to that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.feature_tables import (
    ENCODER_HASH,
    FEATURE_TABLES,
    ITEM_ADAPTATION,
    FeatureTable,
    write_table,
)
from feature_repo.home import Home
from feature_repo.jobs.contents import Refusal
from feature_repo.jobs.judging import refused_vectors
from feature_repo.jobs.refusals import quarantine_refused
from feature_repo.offline_tables import locked
from validation import gate, reasons, tables

ROWS: Final = 20_000
MAKERS: Final = (ENCODER_HASH, "model")
"""What says who made an item's vector; the vectors of one maker have one width."""
ADDED: Final = frozenset({ITEM_ADAPTATION.name})
"""Views whose vectors are added to others: where first customers teach nothing, they are zeros."""


def hold_back_unsound(
    home: Home, *, now: datetime, views: Sequence[str] | None = None
) -> dict[str, int]:
    """Move unsound vectors from the feature tables (or some) to quarantine.

    An entity's other vectors stay, and what is written meanwhile.

    Returns:
        View → entities that were held back, where there are any.
    """
    held = {}
    for name, table in FEATURE_TABLES.items():
        path = home.feature_table(name)
        asked = views is None or name in views
        if not asked or not path.exists() or not set(MAKERS) & set(table.schema.names):
            continue
        found = _unsound(path, table, now=now)
        if found.rows:  # who writes the table waits for the gate only where something has to go
            with locked(path):
                found = _unsound(path, table, now=now)
                _take_out(found.rows, path)
        quarantine_refused(
            found.refused,
            folder=home.quarantine,
            table=name,
            checked=found.keys,
            now=now,
        )
        if found.refused:
            held[name] = len(found.refused)
    return held


@dataclass(slots=True)
class _Unsound:
    """What the gate says of a table's vectors."""

    keys: set[str] = field(default_factory=set)
    """Entities that were looked at."""
    refused: list[Refusal] = field(default_factory=list)
    """Those with a vector that the gate blocks, each once."""
    rows: list[int] = field(default_factory=list)
    """Where these vectors stand in the file."""


def _take_out(rows: Sequence[int], path: Path) -> None:
    """Write the table without some of its rows."""
    stored = pq.read_table(path)
    stays = np.ones(stored.num_rows, dtype=bool)
    stays[rows] = False
    write_table(stored.filter(pa.array(stays)), path)


def _unsound(path: Path, table: FeatureTable, *, now: datetime) -> _Unsound:
    """Send every vector of the table through the gate."""
    column, told, found, first = str(table.vector), set[str](), _Unsound(), 0
    with pq.ParquetFile(path) as file:
        maker, *source = (name for name in (*MAKERS, tables.SOURCE) if name in table.schema.names)
        widths = _widths(file, column, maker)
        for batch in file.iter_batches(ROWS, columns=[table.key, column, maker, *source]):
            found.keys.update(batch.column(table.key).to_pylist())
            for made_by, rows in batch.to_pandas().groupby(maker, dropna=False):
                result = gate.check_embeddings(
                    rows,
                    width=widths.get(made_by, 0),
                    column=column,
                    zeros=table.name in ADDED,
                    now=now,
                )
                places = first + rows.index.to_numpy()
                found.rows += places[result.quarantined[reasons.ROW_NUMBER]].tolist()
                for refusal in refused_vectors(result):
                    if refusal.item_id not in told:
                        told.add(refusal.item_id)
                        found.refused.append(refusal)
            first += batch.num_rows
    return found


def _widths(file: pq.ParquetFile, column: str, maker: str) -> dict[object, int]:
    """Maker → the width that most of its vectors have."""
    parts = [
        pd.DataFrame(
            {
                "maker": batch.column(maker).to_pandas(),
                "width": pc.list_value_length(batch.column(column)).to_pandas(),
            }
        )
        for batch in file.iter_batches(ROWS, columns=[column, maker])
    ]
    lengths = pd.concat(parts).dropna() if parts else pd.DataFrame({"maker": [], "width": []})
    modes = lengths.groupby("maker")["width"].agg(lambda widths: widths.mode().iloc[0])
    return {made_by: int(width) for made_by, width in modes.items()}
