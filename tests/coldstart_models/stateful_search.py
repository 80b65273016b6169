"""Looking for a word in every file of a folder, decoded too, and in what an object holds."""

import gc
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq


def files_with(folder: Path, word: str) -> list[str]:
    """Files whose name or bytes hold the word; of Parquet and Arrow files also the values."""
    needle = word.encode()
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if word in path.name
        or (path.is_file() and (needle in path.read_bytes() or word in _values(path)))
    )


def _values(path: Path) -> str:
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pydict())
    if path.suffix == ".arrow":
        return str(pa.ipc.open_file(path).read_all().to_pydict())
    return ""


def objects_with(root: object, word: str) -> list[str]:
    """What the object holds, however deep, that has the word: strings, bytes, arrays, tables."""
    return [text[:300] for one in _held(root) if word in (text := _text(one))]


def _held(root: object) -> Iterator[object]:
    seen, waiting = {id(root)}, [root]
    stop = (type, types.ModuleType, types.FunctionType, types.FrameType, types.CodeType)
    while waiting:
        one = waiting.pop()
        yield one
        for other in gc.get_referents(one):
            if id(other) not in seen and not isinstance(other, stop):
                seen.add(id(other))
                waiting.append(other)


def _text(one: Any) -> str:
    if isinstance(one, str):
        return one
    if isinstance(one, bytes):
        return one.decode("utf-8", "replace")
    if isinstance(one, pa.Table):
        return str(one.to_pydict())
    if isinstance(one, pd.DataFrame):
        return one.to_csv()
    if isinstance(one, np.ndarray) and one.dtype == object:
        return str(one.tolist())
    return ""
