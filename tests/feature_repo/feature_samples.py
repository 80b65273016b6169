"""Awkward rows for every feature table: nulls, NaN, empty and long lists, other scripts."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from feature_repo.feature_tables import CREATED_TIMESTAMP, FeatureTable
from validation import tables

FIRST = datetime(2020, 2, 29, 12, 0, 0, 123456, tzinfo=UTC)


def awkward_rows(table: FeatureTable, *, count: int = 12, seed: int = 0) -> pa.Table:
    """Rows of distinct keys whose values go through every case of a column's type."""
    generator = np.random.default_rng(seed)
    columns: dict[str, list[Any]] = {
        table.key: [f"{table.key}-é漢-{number}" for number in range(count)],
        tables.EVENT_TIMESTAMP: [FIRST + timedelta(microseconds=n) for n in range(count)],
        CREATED_TIMESTAMP: [FIRST + timedelta(days=n) for n in range(count)],
    }
    for column in table.features:
        columns[column.name] = [_value(column.dtype, n, generator) for n in range(count)]
    return pa.table({name: columns[name] for name in table.schema.names}, schema=table.schema)


def _value(dtype: pa.DataType, number: int, generator: np.random.Generator) -> Any:
    """The first rows hold the awkward values, and no row but the first is null."""
    floats = generator.standard_normal(3 + 60 * (number % 3)).astype(np.float32).tolist()
    whole = int(generator.integers(-(2**40), 2**40))
    cases: dict[pa.DataType, list[Any]] = {
        pa.string(): [None, "", "Стол ★", "x" * 300],
        pa.bool_(): [None, True, False],
        pa.int64(): [None, 0, -1, 1_700_000_000_000_000],
        pa.float32(): [None, 0.0, float("nan"), 1e-30],
        pa.float64(): [None, 0.0, float("nan"), -0.1],
        pa.list_(pa.string()): [None, [], ["", "a"], ["b"] * 200],
        pa.list_(pa.int64()): [None, [], [0, -1, 2**52]],
        pa.list_(pa.float32()): [None, [], [float("nan"), -0.0], [None, 1.5]],
    }
    usual: dict[pa.DataType, Any] = {
        pa.string(): f"text {number % 4}",
        pa.bool_(): number % 2 == 0,
        pa.int64(): whole,
        pa.float32(): floats[0],
        pa.float64(): float(generator.standard_normal()),
        pa.list_(pa.string()): [f"w{number}", "v"],
        pa.list_(pa.int64()): [whole, number],
        pa.list_(pa.float32()): floats,
    }
    awkward = cases[dtype]
    return awkward[number] if number < len(awkward) else usual[dtype]
