"""Table files as people have them: Parquet, CSV and JSON Lines, plain or gzipped.

Nothing is repaired and no line is lost: ids keep their leading zeros (CSV is read as text,
and only an empty cell is null), and a line that cannot be read becomes a row of nulls with
its number and text in the column `_unreadable`.
"""

import codecs
import csv
import gzip
import json
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any, Final, TypeVar, cast

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.catalogs.columns import UNREADABLE
from feature_repo.catalogs.raw import UNREADABLE_JSON
from feature_repo.catalogs.source import SourceError

Progress = Callable[[int, int], None]
Row = TypeVar("Row")

DELIMITED: Final = (".csv", ".csv.gz", ".tsv", ".tsv.gz")
JSON_LINES: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz")
ENDINGS: Final = (".parquet", *DELIMITED, *JSON_LINES)
LINES_PER_REPORT: Final = 20_000
LONGEST_RECORD: Final = 1_000
"""Lines that one quoted record of an uneven CSV may have."""


def existing_folder(folder: Path) -> Path:
    """The folder as an absolute path. Raises SourceError if it is none."""
    if not folder.is_dir():
        what = "is a file, expected a folder" if folder.exists() else "does not exist"
        raise SourceError(f"folder {folder} {what}")
    return folder.resolve()


def find_table(folder: Path, stems: Sequence[str], *, named: str | None = None) -> Path | None:
    """The one file in `folder` that is called as one of `stems` with a known ending.

    Args:
        named: the file's name, where a mapping states it.

    Raises:
        SourceError: two candidates, or the named file is not there.
    """
    if named is not None:
        if not (folder / named).is_file():
            raise SourceError(f"mapping.toml names {named}, which is not in {folder}")
        return folder / named
    wanted = {f"{stem}{ending}" for stem in stems for ending in ENDINGS}
    found = sorted(path for path in folder.iterdir() if path.name.lower() in wanted)
    if len(found) > 1:
        table = stems[0] if stems[0] == "items" else "events"
        raise SourceError(
            f"{folder} holds {' and '.join(path.name for path in found)}; keep one, or write "
            f'[{table}] file = "{found[0].name}" into mapping.toml'
        )
    return found[0] if found else None


def read_table(
    path: Path, *, encoding: str | None = None, delimiter: str | None = None
) -> pd.DataFrame:
    """A file's rows with raw values. Raises SourceError where it cannot be read or is empty."""
    (frame,) = table_parts(path, rows=None, encoding=encoding, delimiter=delimiter)
    return frame


def require_file(path: Path) -> None:
    """Raise SourceError where there is no file."""
    if not path.is_file():
        raise SourceError(f"there is no file {path}; expected {', '.join(ENDINGS)}")


def table_parts(
    path: Path, *, rows: int | None, encoding: str | None = None, delimiter: str | None = None
) -> Iterator[pd.DataFrame]:
    """A file's rows with raw values, so many a frame (all in one if None); the same columns each.

    Raises:
        SourceError: the file cannot be read or is empty.
    """
    require_file(path)
    if path.stat().st_size == 0:
        raise SourceError(f"{path} is empty (0 bytes)")
    name, count = path.name.lower(), 0
    try:
        if name.endswith(".parquet"):
            parts = _parquet_parts(path, rows)
        elif name.endswith(DELIMITED):
            parts = _delimited_parts(path, encoding or "utf-8", delimiter, rows)
        elif name.endswith(JSON_LINES):
            parts = _json_parts(path, rows)
        else:
            raise SourceError(f"{path.name} has none of the endings {', '.join(ENDINGS)}")
        for frame in parts:
            count += len(frame)
            if len(frame):
                yield frame
    except (pa.ArrowException, EOFError, zlib.error, OSError, LookupError) as error:
        raise SourceError(f"{path} cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise SourceError(
            f"{path} is not {encoding or 'utf-8'} (byte {error.start}); write its encoding into "
            'mapping.toml, e.g. encoding = "cp1252"'
        ) from error
    if not count:
        raise SourceError(f"{path} holds no rows")


def json_lines(
    path: Path, *, progress: Progress | None = None
) -> Iterator[tuple[int, dict[str, object] | None, str]]:
    """Line number from 1, the object on it (None if it is not one), and the line's text.

    Blank lines are skipped. `progress` is told bytes read and bytes in all.

    Raises:
        SourceError: the file's compression is broken.
    """
    total = path.stat().st_size
    with path.open("rb") as raw, _unpacked(raw, path) as lines:
        try:
            for number, line in enumerate(lines, start=1):
                if progress is not None and number % LINES_PER_REPORT == 0:
                    progress(raw.tell(), total)
                if line.strip():
                    yield number, *_json_object(line)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise SourceError(f"{path} cannot be unpacked: {error}") from error
    if progress is not None:
        progress(total, total)


def _unpacked(raw: IO[bytes], path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(raw)) if path.name.lower().endswith(".gz") else raw


def object_frame(
    rows: Sequence[Mapping[str, object]], names: Iterable[str] | None = None
) -> pd.DataFrame:
    """Rows as a frame of objects: a key that a row lacks is None, so a NaN is one it has.

    Args:
        names: the columns; every key of the rows unless given.
    """
    names = names if names is not None else dict.fromkeys(name for row in rows for name in row)
    return pd.DataFrame(
        {name: pd.Series([row.get(name) for row in rows], dtype=object) for name in names}
    )


def unreadable(number: int, text: str) -> str:
    """What the column `_unreadable` says of a line."""
    return f"line {number}: {text}"


def _json_object(line: bytes) -> tuple[dict[str, object] | None, str]:
    text = line.decode("utf-8", errors="backslashreplace").strip().removeprefix("\ufeff")
    try:
        value = json.loads(text)
    except UNREADABLE_JSON:
        return None, text
    return (value, text) if isinstance(value, dict) else (None, text)


def _parquet_parts(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    if rows is None:
        yield _exactly(pq.read_table(path))
        return
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=rows):
            yield _exactly(pa.Table.from_batches([batch]))


def _exactly(table: pa.Table) -> pd.DataFrame:
    """The rows as pandas, where integers beside a null stay integers, and bytes of text are text.

    As floats, which pandas makes of them, ids above 2^53 become those of others. Bytes that are no
    UTF-8 stay bytes.
    """
    frame: pd.DataFrame = table.to_pandas()
    for number, field in enumerate(table.schema):
        column = table.column(number)
        if pa.types.is_integer(field.type) and column.null_count and field.name in frame:
            frame[field.name] = column.to_pandas(types_mapper=_nullable).array
        elif pa.types.is_binary(field.type) or pa.types.is_large_binary(field.type):
            frame[field.name] = frame[field.name].map(_decoded)
    return frame


def _nullable(dtype: pa.DataType) -> pd.Int64Dtype | pd.UInt64Dtype:
    return pd.UInt64Dtype() if dtype == pa.uint64() else pd.Int64Dtype()


def _decoded(value: object) -> object:
    try:
        return value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError:
        return value


def _json_parts(path: Path, rows: int | None) -> Iterator[pd.DataFrame]:
    if rows is None:
        yield object_frame(list(_json_rows(path)))
        return
    names = dict.fromkeys(name for row in _json_rows(path) for name in row)
    for part in _batched(_json_rows(path), rows):
        yield object_frame(part, names)


def _json_rows(path: Path) -> Iterator[dict[str, object]]:
    for number, row, text in json_lines(path):
        if number == 1 and text.startswith("["):
            raise SourceError(
                f"{path} is one JSON array; write one object a line (JSON Lines), e.g. with "
                f"jq -c '.[]' {path.name}"
            )
        yield row if row is not None else {UNREADABLE: unreadable(number, text)}


def _delimited_parts(
    path: Path, encoding: str, delimiter: str | None, rows: int | None
) -> Iterator[pd.DataFrame]:
    encoding = _without_mark(encoding)
    with _open_text(path, encoding) as lines:
        header = lines.readline()
        lines_with_text, nul = 1, "\0" in header
        for line in lines:
            lines_with_text += bool(line.strip())
            nul = nul or "\0" in line
    separator = delimiter or max(",;\t|", key=header.count)
    if nul:  # at which pandas ends a cell and says nothing
        yield from _uneven_parts(path, encoding, separator, rows)
        return

    def parts() -> Iterator[pd.DataFrame]:
        how: dict[str, Any] = {
            "sep": separator,
            "dtype": str,
            "encoding": encoding,
            "keep_default_na": False,
            "na_values": [""],
        }
        if rows is None:
            yield pd.read_csv(path, **how)
            return
        with pd.read_csv(path, chunksize=rows, **how) as reader:
            for frame in reader:
                yield frame.reset_index(drop=True) if _is_plain(frame) else frame

    try:
        read = list(parts()) if rows is None else parts()
        even, count = True, 0
        for frame in read:
            even, count = even and _is_plain(frame), count + len(frame)
    except pd.errors.EmptyDataError as error:
        raise SourceError(f"{path} is empty: it has no header") from error
    except pd.errors.ParserError:
        even = False
    # Rows longer than the header make pandas take the first column for an index, and a stray
    # quote makes it take several rows for one.
    if not even or count < lines_with_text - 1:
        yield from _uneven_parts(path, encoding, separator, rows)
    else:
        yield from read if rows is None else parts()


def _without_mark(encoding: str) -> str:
    """The encoding; UTF-8, however it is spelled, may begin with a byte order mark."""
    try:
        return "utf-8-sig" if codecs.lookup(encoding).name == "utf-8" else encoding
    except LookupError:  # told when the file is opened
        return encoding


def _is_plain(frame: pd.DataFrame) -> bool:
    return isinstance(frame.index, pd.RangeIndex)


def _open_text(path: Path, encoding: str) -> IO[str]:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def _uneven_parts(
    path: Path, encoding: str, delimiter: str, rows: int | None
) -> Iterator[pd.DataFrame]:
    """Read record by record; one with another number of fields than the header stays text.

    A record goes on over the next lines only while a quote is open and only if that gives
    the header's number of fields, so an unclosed quote does not swallow the rows after it.
    """
    with _open_text(path, encoding) as file:
        header = _distinct(next(csv.reader([file.readline()], delimiter=delimiter), []))
        for part in _batched(_uneven_rows(file, len(header), delimiter), rows):
            yield pd.DataFrame(part, columns=[*header, UNREADABLE], dtype=object)


def _distinct(names: Sequence[str]) -> list[str]:
    """Column names as pandas tells them apart: ``title``, ``title.1``."""
    told = list[str]()
    for number, name in enumerate(names):
        name = name or f"Unnamed: {number}"
        others = (f"{name}.{count}" for count in range(1, len(names) + 1))
        told.append(next(one for one in (name, *others) if one not in told))
    return told


def _uneven_rows(file: IO[str], width: int, delimiter: str) -> Iterator[list[str | None]]:
    ahead: list[str] = []
    number = 2
    while True:
        ahead += islice(file, LONGEST_RECORD - len(ahead))
        if not ahead:
            return
        fields, used = _record(ahead, width, delimiter)
        text = ahead[0].rstrip("\r\n")
        if fields is not None:
            yield [*(field or None for field in fields), None]
        elif text:
            yield [*([None] * width), unreadable(number, text)]
        number += used
        del ahead[:used]


def _batched(rows: Iterator[Row], count: int | None) -> Iterator[list[Row]]:
    """Lists of so many rows; all in one if None, also where there is none."""
    if count is None:
        yield list(rows)
        return
    while part := list(islice(rows, count)):
        yield part


def _record(lines: Sequence[str], width: int, delimiter: str) -> tuple[list[str] | None, int]:
    """The fields of the record that these lines begin with and how many it has, or None and 1."""
    quotes = 0
    for used in range(1, len(lines) + 1):
        quotes += lines[used - 1].count('"')
        if quotes % 2 == 0:
            fields = _fields(lines[:used], delimiter)
            return (fields, used) if len(fields) == width else (None, 1)
    return None, 1


def _fields(record: Sequence[str], delimiter: str) -> list[str]:
    """The record's fields; none where a closing quote is not followed by a delimiter."""
    try:
        return next(csv.reader(record, delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
