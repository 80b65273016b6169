"""The rankings themselves, as Parquet, so that anyone can score them again."""

import os
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from coldstart_models.data.catalogue import FloatMatrix
from coldstart_models.metrics import UserMetrics

DEPTH: Final = 100
_NAME: Final = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        ("model", _NAME),
        ("shots", pa.int32()),
        ("pool", _NAME),
        ("seed", pa.int32()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("rank", pa.int32()),
        ("score", pa.float32()),
    ]
)


@dataclass(frozen=True, slots=True)
class Labels:
    """Whose rankings they are."""

    model: str
    shots: int
    pool: str
    seed: int


class RankingsWriter:
    """Writes the first 100 of every user, row group by row group; the file appears at the end.

    `rank` starts at 1 and restarts within each month of the pool ``month``. A model that
    no seed changes is written for the first seed alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._partial = path.with_name(f".{path.name}.{os.getpid()}.partial")

    def __enter__(self) -> "RankingsWriter":
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = pq.ParquetWriter(self._partial, SCHEMA, compression="zstd")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._writer.close()
        if kind is None:
            os.replace(self._partial, self._path)
        else:
            self._partial.unlink(missing_ok=True)

    def write(
        self,
        metrics: UserMetrics,
        scores: FloatMatrix,
        labels: Labels,
        *,
        user_ids: npt.NDArray[np.object_],
        item_ids: npt.NDArray[np.object_],
    ) -> None:
        """Add the rankings of U users, from their (U, C) scores, as one row group."""
        order = metrics.order[:, :DEPTH]
        places = np.arange(order.shape[1])
        rows, ranks = np.nonzero(places < metrics.ranked[:, None])
        columns = order[rows, ranks]
        count = len(rows)
        arrays = [
            pa.array([labels.model] * count, pa.string()).dictionary_encode(),
            pa.array(np.full(count, labels.shots, np.int32)),
            pa.array([labels.pool] * count, pa.string()).dictionary_encode(),
            pa.array(np.full(count, labels.seed, np.int32)),
            pa.array(user_ids[rows], pa.string()),
            pa.array(item_ids[columns], pa.string()),
            pa.array((ranks + 1).astype(np.int32)),
            pa.array(scores[rows, columns].astype(np.float32)),
        ]
        self._writer.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA))
