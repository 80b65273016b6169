"""Feature rows as the bytes that Feast's online stores hold, built from Arrow's buffers.

Feast's own path makes a Python list of every vector, a protobuf message of every list and bytes
of every message. A list of floats in Arrow is one run of little-endian float32, and so is a
packed `FloatList` on the wire: the bytes are cut out and given a header. What is stored is what
Feast would have stored, bit by bit, so every reader of Feast finds it.
"""

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from itertools import chain, pairwise, repeat
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from feast.infra.key_encoding_utils import serialize_entity_key, serialize_entity_key_prefix
from feast.infra.online_stores.helpers import extract_text_and_num
from feast.protos.feast.types import Value_pb2
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from feast.utils import to_naive_utc

from feature_repo.feature_tables import CREATED_TIMESTAMP, FeatureTable
from validation import tables

SCALARS: Final = {
    pa.string(): "string_val",
    pa.bool_(): "bool_val",
    pa.int64(): "int64_val",
    pa.float32(): "float_val",
    pa.float64(): "double_val",
}
LISTS: Final = {
    pa.list_(pa.string()): ("string_list_val", Value_pb2.StringList),
    pa.list_(pa.int64()): ("int64_list_val", Value_pb2.Int64List),
}
FLOATS: Final = pa.list_(pa.float32())
NULL: Final = b""
"""A value that is not set has no bytes."""
_LENGTH_DELIMITED: Final = 2
"""Wire type of messages and packed lists (Protocol Buffers, "Encoding", message structure)."""


@dataclass(frozen=True, slots=True)
class WireRows:
    """N rows of one feature view; every column has N entries in the same order."""

    keys: list[bytes]
    """Entity keys as Feast serializes them."""
    values: dict[str, list[bytes]]
    """Feature → serialized `Value`s; no bytes where there is no value."""
    texts: dict[str, list[str | None]]
    """Feature → scalars as text, which SQL stores keep beside the value for searching."""
    event_times: list[datetime]
    """UTC, without a zone."""
    created_times: list[datetime | None]

    def __len__(self) -> int:
        return len(self.keys)

    def by_feature(self, *beside: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """Key, feature, value and text of every value, row by row.

        Args:
            beside: N entries each, such as times; a row's stand behind each of its values.
        """
        columns = [
            zip(self.keys, repeat(name), values, self.texts[name], *beside, strict=False)
            for name, values in self.values.items()
        ]
        return chain.from_iterable(zip(*columns, strict=True))


def wire_rows(rows: pa.RecordBatch | pa.Table, *, table: FeatureTable) -> WireRows:
    """The rows of a feature table as an online store of Feast holds them."""
    columns = {name: _whole(rows[name]) for name in table.schema.names}
    values, texts = {}, {}
    for column in table.features:
        values[column.name], texts[column.name] = _serialized(columns[column.name], column.dtype)
    return WireRows(
        keys=entity_keys(table.key, columns[table.key].to_pylist()),
        values=values,
        texts=texts,
        event_times=_moments(columns[tables.EVENT_TIMESTAMP]),
        created_times=_moments(columns[CREATED_TIMESTAMP]),
    )


def wire_rows_of_protos(
    data: Sequence[tuple[EntityKey, dict[str, Value], datetime, datetime | None]],
) -> WireRows:
    """Rows as Feast hands them to an online store."""
    names = list(data[0][1]) if data else []
    return WireRows(
        keys=[serialize_entity_key(key, entity_key_serialization_version=3) for key, *_ in data],
        values={
            name: [values[name].SerializeToString() for _, values, *_ in data] for name in names
        },
        texts={
            name: [
                extract_text_and_num(values[name], compute_num=False)[0] for _, values, *_ in data
            ]
            for name in names
        },
        event_times=[to_naive_utc(moment) for _, _, moment, _ in data],
        created_times=[moment and to_naive_utc(moment) for *_, moment in data],
    )


def entity_keys(name: str, ids: Sequence[str]) -> list[bytes]:
    """Entity keys of one string each, in version 3 of Feast's serialization."""
    head = serialize_entity_key_prefix([name]) + struct.pack("<I", Value_pb2.ValueType.STRING)
    encoded = [one.encode() for one in ids]
    return [head + struct.pack("<I", len(one)) + one for one in encoded]


def _whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _serialized(column: pa.Array, dtype: pa.DataType) -> tuple[list[bytes], list[str | None]]:
    column = column.cast(dtype)
    if dtype == FLOATS:
        return _float_lists(column), [None] * len(column)
    if dtype in LISTS:
        field, kind = LISTS[dtype]
        made = [
            NULL if one is None else Value(**{field: kind(val=one)}).SerializeToString()
            for one in column.to_pylist()
        ]
        return made, [None] * len(column)
    if dtype == pa.string():
        return _texts(column)
    return _scalars(column.to_pylist(), SCALARS[dtype])


def _float_lists(column: pa.Array) -> list[bytes]:
    """Packed `FloatList`s, cut out of the column's one run of floats."""
    starts = np.asarray(column.offsets).astype(np.int64) * 4
    floats = np.ascontiguousarray(
        np.asarray(column.values.fill_null(np.nan) if column.values.null_count else column.values),
        dtype="<f4",
    )
    run = memoryview(floats.data).cast("B")
    heads = {size: _float_list_head(size) for size in np.unique(np.diff(starts)).tolist()}
    bounds = starts.tolist()
    cut = [b"".join((heads[end - start], run[start:end])) for start, end in pairwise(bounds)]
    if column.null_count:
        there = np.asarray(column.is_valid())
        cut = [one if valid else NULL for one, valid in zip(cut, there.tolist(), strict=True)]
    return cut


def _float_list_head(size: int) -> bytes:
    """What stands before `size` bytes of packed floats in a `Value`."""
    packed = Value_pb2.FloatList.DESCRIPTOR.fields_by_name["val"].number
    inner = _tag(packed) + _varint(size) if size else b""
    outer = Value.DESCRIPTOR.fields_by_name["float_list_val"].number
    return _tag(outer) + _varint(len(inner) + size) + inner


def _tag(number: int) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first."""
    made = bytearray()
    while value > 127:
        made.append(value & 127 | 128)
        value >>= 7
    made.append(value)
    return bytes(made)


def _texts(column: pa.Array) -> tuple[list[bytes], list[str | None]]:
    """Strings, each distinct one serialized once: an encoder's name stands in every row."""
    codes = column.dictionary_encode()
    distinct, _ = _scalars(codes.dictionary.to_pylist(), SCALARS[pa.string()])
    numbers = pc.fill_null(codes.indices, len(distinct)).to_pylist()
    by_number = [*distinct, NULL]
    return [by_number[number] for number in numbers], column.to_pylist()


def _scalars(values: Sequence[Any], field: str) -> tuple[list[bytes], list[str | None]]:
    """Scalars; NaN is no value, as for Feast."""
    make = partial(_scalar, field)
    known = [None if value != value else value for value in values]
    return [make(value) for value in known], [
        None if value is None else str(value) for value in known
    ]


def _scalar(field: str, value: Any) -> bytes:
    return NULL if value is None else bytes(Value(**{field: value}).SerializeToString())


def _moments(column: pa.Array) -> list[Any]:
    """UTC without a zone, to the microsecond; None where null."""
    moments = column.cast(pa.timestamp("us", tz="UTC")).cast(pa.timestamp("us"))
    return list(moments.to_numpy(zero_copy_only=False).astype("datetime64[us]").astype(object))
