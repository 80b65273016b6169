"""Whether the listings' photos and texts belong together, by their embeddings."""

from collections.abc import Iterator
from dataclasses import asdict, fields, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.encoder_tables import require_one_encoder, served_hash
from feature_repo.feature_tables import EMBEDDING, ITEM_IMAGE_EMBEDDING, ITEM_TEXT_EMBEDDING
from feature_repo.home import Home
from feature_repo.jobs.pairs import write_pairs
from validation import history, reasons, tables
from validation.alignment import MOST, Alignment, FloatMatrix, align
from validation.summary import Summary, summary_of
from validation.whole_files import replacing

if TYPE_CHECKING:
    from validation.result import GateResult

STEP = "extract"
ALIGNMENT = "photo_text.npz"
MadeBy = tuple[str, str]
"""Hashes of the photo and the text encoder."""
SHOWN = [tables.ITEM_ID, tables.TITLE, tables.IMAGE_PATH, tables.SOURCE]
VIEWS: Final = (ITEM_IMAGE_EMBEDDING.name, ITEM_TEXT_EMBEDDING.name)
CHUNK: Final = 8_192
"""Listings that are looked at together."""


def check_photos_and_texts(home: Home, *, now: datetime) -> "Summary | None":
    """Look at all listings with both embeddings; None for too few to learn from.

    They are looked at `CHUNK` at a time, by what an evenly spread sample of them teaches. Writes
    those that disagree to ``photo_text.csv`` beside the gate's reports, surest first, and keeps
    what was learned for `check_new_pairs`.
    """
    if not all(home.feature_table(view).exists() for view in VIEWS):
        return None
    with TemporaryDirectory(dir=home.features, prefix=".pairs-") as folder:
        path = Path(folder) / "pairs.parquet"
        count = _write_pairs(home, path)
        sampled = np.arange(0, count, -(-count // MOST) or 1)
        vectors = [_Rows(home.feature_table(view), EMBEDDING) for view in VIEWS]
        places = pq.read_table(path, columns=list(VIEWS)).take(pa.array(sampled))
        alignment = align(
            *(rows.at(places[view].to_numpy()) for rows, view in zip(vectors, VIEWS, strict=True))
        )
        if alignment is None:
            return None
        alignment = replace(alignment, learned_from=sampled)
        _keep(alignment, home=home)
        told: list[pd.DataFrame] = []
        summary = summary_of(_judged_pairs(path, vectors, alignment, told=told, now=now))
    history.record([summary], folder=home.gate_results, source="", step=STEP)
    pd.concat(told).sort_values("confidence", ascending=False).to_csv(
        home.gate_results / "photo_text.csv", index=False
    )
    return summary


def _judged_pairs(
    path: Path,
    vectors: "list[_Rows]",
    alignment: Alignment,
    *,
    told: list[pd.DataFrame],
    now: datetime,
) -> "Iterator[GateResult]":
    """What the gate says of the listings, part by part; those that disagree are added to `told`."""
    from validation import gate

    learned, first = alignment.learned_from, 0
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(CHUNK):
            frame = batch.to_pandas()
            agreement = alignment.agreement(
                *(rows.at(frame.pop(view)) for rows, view in zip(vectors, VIEWS, strict=True))
            )
            # What a listing taught does not speak for it.
            here = np.searchsorted(learned, [first, first + len(frame)])
            agreement[learned[slice(*here)] - first] = alignment.out_of_fold[slice(*here)]
            result = gate.check_pairs(frame, agreement=agreement, alignment=alignment, now=now)
            disagree = frame.assign(confidence=alignment.confidence(agreement).round(3))
            numbers = result.warnings[reasons.ROW_NUMBER]
            told.append(disagree.iloc[numbers])
            warnings = result.warnings.assign(**{reasons.ROW_NUMBER: numbers + first})
            yield replace(result, warnings=warnings)
            first += len(frame)


def _write_pairs(home: Home, path: Path) -> int:
    """The listings that have both, by id, with the rows of their newest vectors; their number."""
    photos, texts = (home.feature_table(view) for view in VIEWS)
    for table in (photos, texts):
        require_one_encoder(table)
    return write_pairs(
        photos,
        texts,
        home.items,
        path=path,
        shown=SHOWN,
        names=VIEWS,
        folder=path.parent / "ranges",
        chunk=CHUNK,
    )


class _Rows:
    """Vectors of a Parquet file by row, one group of rows in memory."""

    def __init__(self, path: Path, column: str) -> None:
        self._file, self._column = pq.ParquetFile(path, pre_buffer=False), column
        metadata = self._file.metadata
        sizes = [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._starts = self._ends - np.array(sizes, dtype=np.int64)
        self._held = -1
        self._vectors = np.zeros((0, 0), np.float32)

    def at(self, rows: "npt.NDArray[np.int64] | pd.Series") -> FloatMatrix:
        """(N, D) of N rows."""
        numbers = np.asarray(rows, dtype=np.int64)
        groups = np.searchsorted(self._ends, numbers, side="right")
        found: FloatMatrix | None = None
        for group in np.unique(groups):
            vectors = self._of(int(group))
            if found is None:
                found = np.empty((len(numbers), vectors.shape[1]), np.float32)
            chosen = groups == group
            found[chosen] = vectors[numbers[chosen] - self._starts[group]]
        return np.zeros((0, 0), np.float32) if found is None else found

    def _of(self, group: int) -> FloatMatrix:
        if group != self._held:
            column = self._file.read_row_group(group, columns=[self._column]).column(0)
            flat = np.asarray(column.combine_chunks().flatten(), np.float32)
            self._vectors, self._held = flat.reshape(len(column), -1), group
        return self._vectors


def check_new_pairs(
    items: pd.DataFrame,
    photos: FloatMatrix,
    texts: FloatMatrix,
    *,
    made_by: MadeBy,
    home: Home,
    now: datetime,
) -> "GateResult | None":
    """Look at new listings with both embeddings by what was learned from the catalogue.

    Args:
        items: N canonical listings.
        photos: (N, P)
        texts: (N, T)

    Returns:
        None where there are none, or nothing was learned of these encoders.
    """
    from validation import gate

    alignment = _kept(made_by=made_by, home=home) if len(items) else None
    if alignment is None:
        return None
    shown = items[SHOWN].reset_index(drop=True)
    agreement = alignment.agreement(photos, texts)
    return gate.check_pairs(shown, agreement=agreement, alignment=alignment, now=now)


def _keep(alignment: Alignment, *, home: Home) -> None:
    """Beside the hashes of the encoders that serve, whose vectors it was learned from."""
    made_by = [served_hash(home, view) or "" for view in VIEWS]
    with replacing(home.gate_results / ALIGNMENT) as partial, partial.open("wb") as file:
        np.savez(file, made_by=np.array(made_by), **asdict(alignment))


def _kept(*, made_by: MadeBy, home: Home) -> Alignment | None:
    path = home.gate_results / ALIGNMENT
    if not path.exists():
        return None
    with np.load(path) as kept:
        if tuple(kept["made_by"].tolist()) != made_by:
            return None
        arrays = {one.name: kept[one.name] for one in fields(Alignment)}
    return Alignment(**{**arrays, "threshold": float(arrays["threshold"])})
