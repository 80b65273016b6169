"""Positive events among rows of the log, as Arrow."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from coldstart_models.data.catalogue import IntArray
from validation import tables

KINDS = pa.array(tables.POSITIVE_EVENT_TYPES)


def positive(rows: pa.Table) -> pa.Table:
    """Those by which somebody chose something."""
    return rows.filter(pc.is_in(rows[tables.EVENT_TYPE], KINDS))


def times_us(rows: pa.Table) -> IntArray:
    """(E,) µs since 1970, UTC."""
    return np.asarray(rows[tables.EVENT_TIMESTAMP].cast(pa.int64()).to_numpy(), np.int64)
