"""The event log: one large Parquet file, and what came since in small ones beside it.

``catalog/events.parquet`` is what `ingest` wrote. What arrives one batch at a time is appended as
``catalog/events.d/GENERATION/START-END-LEVEL.parquet``, where START and END count the log's rows
from its first: an append writes what is new and nothing else. Small files are merged in sixteens,
so there are never many, and `coldstart aggregate` merges all of them into the large file. The
generation, a random name in the large file's footer, changes when `ingest` writes the log anew; of
a file that another program wrote it is the hash.

The log is the large file's rows and then the small files', in this order. Every change is one
rename, so a reader needs no lock: files that do not join up were being changed, and it looks
again. ADR 0011 says why; `log_state` is what such a reader has.
"""

import logging
import os
import shutil
import threading
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo import event_index
from feature_repo.erasure.tombstones import Tombstones
from feature_repo.errors import JobError, StoreError
from feature_repo.event_index import EventIndex, conforming
from feature_repo.home import Home
from feature_repo.jobs.item_newest import ItemLog
from feature_repo.jobs.transaction import locked
from feature_repo.log_state import (
    HASHED,
    NO_LOG,
    LogState,
    Segment,
    footed,
    footer,
    joined,
    new_generation,
    write_base,
)
from validation import tables
from validation.whole_files import alone, flush, identity_of, replacing

log = logging.getLogger(__name__)

MERGED: Final = 16
"""So many small files of one level become one of the next."""
MAX_LEVEL: Final = 3
MAX_MERGED_ROWS: Final = 200_000
"""Larger files wait for `coldstart aggregate`: an append may not stop for them."""
INDEXED_FROM: Final = 50_000
"""A large file with fewer rows is held in memory instead of being indexed."""
ATTEMPTS: Final = 100
LOCK_SECONDS: Final = 5.0
COMPACT_LOCK: Final = ".events.compact.lock"
"""Beside the large file: held by who writes that anew."""


class EventLog:
    """The log of one state folder. Safe to share between threads, and with other processes."""

    def __init__(self, home: Home) -> None:
        self.path, self._home = home.events, home
        self.folder = home.event_segments
        self._indexes = home.event_index
        self._lock = threading.Lock()
        self._state: LogState | None = None
        self._loaded: dict[Path, pa.Table] = {}
        self._index: tuple[str, EventIndex | pa.Table] | None = None

    def exists(self) -> bool:
        """Whether anything was ingested or appended yet."""
        return self.path.exists()

    def changed_at(self) -> float:
        """When the newest of the files was written, in seconds since 1970; 0 without a log."""
        state = self.state()
        paths = [self.path, *(segment.path for segment in state.segments)]
        return max((path.stat().st_mtime for path in paths if path.exists()), default=0.0)

    def state(self) -> LogState:
        """What the log holds now. Raises StoreError where its files do not join up."""
        with self._lock:
            for attempt in range(ATTEMPTS):
                state = self._look()
                if state is not None:
                    self._state = state
                    return state
                time.sleep(0.001 * attempt)
        raise StoreError(
            f"the files of {self.folder} do not follow on those of {self.path}: another program "
            f"replaced the log. Move {self.folder} away to go on without the events in it"
        )

    def read(self, columns: Sequence[str] | None = None) -> pa.Table:
        """The whole log as it is now, or some columns of it."""
        return self.state().read(columns)

    def rows_where(self, column: str, among: Collection[str]) -> pd.DataFrame:
        """The rows whose user, item or event id is one of the values, in the log's order."""
        return tables.EVENTS.to_pandas(self.find(column, among))

    def find(
        self, column: str, among: Collection[str], *, columns: Sequence[str] | None = None
    ) -> pa.Table:
        """As `rows_where`, some columns or all, as Arrow."""
        named = list(columns or tables.EVENTS.names)
        read = named if column in named else [*named, column]
        return self._find(self.state(), column, among, read).select(named)

    def of_items(self, item_ids: Collection[str]) -> ItemLog | None:
        """What gives the newest rows of some items; None where the large file has no index."""
        state = self.state()
        index = self._prepare(state)
        if not isinstance(index, EventIndex):
            return None
        wanted = pa.array(sorted(set(item_ids)), type=pa.string())
        later = state.tail.filter(pc.is_in(state.tail[tables.ITEM_ID], value_set=wanted))
        return ItemLog(index.sums, index.users, later)

    def append(self, rows: pa.Table) -> set[str]:
        """Add the events that the log does not hold yet; returns the ids it held.

        They are on disk when this returns. It waits while an ingest runs.

        Args:
            rows: canonical events, each id once.

        Raises OSError where they could not be written, the disk being full: none of them is in the
        log then, and the log is as it was.
        """
        with locked(self.path.parent, wait=True):
            self._begin()
            rows = Tombstones.read(self._home).admitted(rows)
            state = self.state()
            ids = rows[tables.EVENT_ID]
            held = self._find(state, tables.EVENT_ID, ids.to_pylist(), [tables.EVENT_ID])
            known = pc.is_in(ids, value_set=held[tables.EVENT_ID].combine_chunks())
            fresh = rows.filter(pc.invert(known))
            if fresh.num_rows:
                self._write(fresh, state, start=state.rows, level=0)
                try:
                    self._merge()
                except OSError as error:  # the rows are there; they lie in more files for now
                    log.warning("the small files of the event log are not merged: %s", error)
        return set(ids.filter(known).to_pylist())

    def begin(self) -> None:
        """Have a log, empty where nothing came yet, so that there are places in it."""
        if not self.exists():
            with locked(self.path.parent, wait=True):
                self._begin()

    def compact(self) -> int:
        """Merge the small files into the large one and index it; returns the rows merged.

        Others append and read meanwhile. Where an ingest runs nothing is done.
        """
        with alone(self.path.with_name(COMPACT_LOCK)):
            state = self.state()
            if not state.segments:
                self._prepare(state)
                return 0
            partial = self.path.with_name(f".{self.path.name}.{os.getpid()}.partial")
            try:
                with pq.ParquetWriter(partial, footed(state.generation), compression="zstd") as to:
                    for part in state.parts(tables.EVENTS.names):
                        to.write_table(part)
                flush(partial)
                index = self._index_of(partial)
                return state.tail.num_rows if self._put(partial, state, index) else 0
            finally:
                partial.unlink(missing_ok=True)

    def warm(self) -> None:
        """Have the index ready before the first event comes."""
        self._prepare(self.state())

    def forget_replaced(self) -> None:
        """Remove the small files of a log that was written anew. Hold the catalogue's lock."""
        generation = self.state().generation
        for folder in self.folder.iterdir() if self.folder.is_dir() else ():
            if folder.name != generation:
                shutil.rmtree(folder, ignore_errors=True)

    def _look(self) -> LogState | None:
        """The state, or None where it changed while it was looked at."""
        identity = identity_of(self.path)
        if not identity:
            nothing = tables.EVENTS.schema.empty_table()
            return LogState(self.path, NO_LOG, "", 0, (), nothing, None)
        known = self._state if self._state and self._state.identity == identity else None
        try:
            source = known.source if known else pa.OSFile(str(self.path), "rb")
            if known:
                generation, base_rows = known.generation, known.base_rows
            else:
                generation, base_rows = footer(self.path, source)
            segments = self._segments(generation)
            if not known and generation.startswith(HASHED) and self._others(generation):
                return None
            if segments is None or identity_of(self.path) != identity:
                return None
            following = joined(segments, base_rows)
            if following is None:
                return None
            if known and known.segments == following:
                return known
            tail = self._load(following, base_rows)
        except FileNotFoundError:
            return None
        return LogState(self.path, generation, identity, base_rows, following, tail, source)

    def _segments(self, generation: str) -> list[Segment] | None:
        """The generation's small files, by place; None where they changed meanwhile."""
        folder = self.folder / generation
        names = [sorted(os.listdir(folder)) if folder.is_dir() else [] for _ in range(2)]
        if names[0] != names[1]:
            return None
        found = [Segment.of(folder / name) for name in names[0]]
        present = [segment for segment in found if segment is not None]
        return sorted(present, key=lambda segment: (segment.start, -segment.end))

    def _others(self, generation: str) -> bool:
        """Whether there are small files of another generation."""
        return any(path.parent.name != generation for path in self.folder.glob("*/*.parquet"))

    def _load(self, segments: Sequence[Segment], base_rows: int) -> pa.Table:
        """The segments' rows after the large file's."""
        parts, end = [tables.EVENTS.schema.empty_table()], base_rows
        for segment in segments:
            if segment.path not in self._loaded:
                self._loaded[segment.path] = pq.read_table(
                    segment.path, schema=tables.EVENTS.schema
                )
            parts.append(self._loaded[segment.path].slice(end - segment.start))
            end = segment.end
        kept = {segment.path for segment in segments}
        self._loaded = {path: rows for path, rows in self._loaded.items() if path in kept}
        return pa.concat_tables(parts)

    def _find(
        self, state: LogState, column: str, among: Collection[str], columns: Sequence[str]
    ) -> pa.Table:
        wanted = pa.array(sorted(set(among)), type=pa.string())
        index, parts = self._prepare(state), [state.tail]
        if isinstance(index, pa.Table):
            parts = [index, state.tail]
        found = [
            part.select(columns).filter(pc.is_in(part[column], value_set=wanted)) for part in parts
        ]
        if isinstance(index, EventIndex):
            found = [index.rows(column, among, columns), *found]
        return pa.concat_tables(found)

    def _prepare(self, state: LogState) -> EventIndex | pa.Table:
        """The large file's rows by key: an index, or of a short one the rows."""
        with self._lock:
            if self._index is None or self._index[0] != state.identity:
                self._index = (state.identity, self._opened(state))
            return self._index[1]

    def _opened(self, state: LogState) -> EventIndex | pa.Table:
        if state.source is None:
            return state.tail.slice(0, 0)
        if state.base_rows < INDEXED_FROM:
            return conforming(pq.ParquetFile(state.source).read())
        folder = self._indexes / state.identity
        index = EventIndex.open(folder)
        if index is None and identity_of(self.path) == state.identity:
            event_index.build(self.path, folder)
            if identity_of(self.path) != state.identity:  # replaced meanwhile, as an erasure does
                shutil.rmtree(folder, ignore_errors=True)
            else:
                event_index.keep_only(folder)
                index = EventIndex.open(folder)
        return conforming(pq.ParquetFile(state.source).read()) if index is None else index

    def _index_of(self, partial: Path) -> Path | None:
        """Make the index of a file that is about to become the large one; None of a short one.

        A rename keeps what a file is known by.
        """
        if pq.read_metadata(partial).num_rows < INDEXED_FROM:
            return None
        folder = self._indexes / identity_of(partial)
        event_index.build(partial, folder)
        return folder

    @contextmanager
    def indexed_ahead(self, partial: Path) -> Iterator[None]:
        """Have the index of a file that is put in place in here; it goes where that fails."""
        index = self._index_of(partial)
        try:
            yield
        except BaseException:
            if index is not None:
                shutil.rmtree(index, ignore_errors=True)
            raise

    def _put(self, partial: Path, state: LogState, index: Path | None) -> bool:
        """Make the merged file the large one, if nobody replaced the log meanwhile."""
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                with locked(self.path.parent):
                    if identity_of(self.path) != state.identity:
                        return False
                    os.replace(partial, self.path)
                    flush(self.path.parent)
                    for segment in self._segments(state.generation) or ():
                        if segment.end <= state.rows:
                            segment.path.unlink(missing_ok=True)
                break
            except JobError:  # an append takes milliseconds, an ingest minutes
                if time.monotonic() > deadline:
                    return False
                time.sleep(0.02)
        if index is not None:
            event_index.keep_only(index)
        return True

    def _write(self, rows: pa.Table, state: LogState, *, start: int, level: int) -> None:
        folder = self.folder / state.generation
        if not folder.is_dir():
            folder.mkdir(parents=True)
            flush(self.folder)
            flush(self.folder.parent)
        end = start + rows.num_rows
        path = folder / f"{start:015d}-{end:015d}-{level}.parquet"
        with replacing(path, durable=True) as partial:
            pq.write_table(rows.cast(tables.EVENTS.schema), partial, compression="zstd")

    def _merge(self) -> None:
        """Make one file of the newest sixteen of a level, and so on upwards."""
        for level in range(MAX_LEVEL):
            state = self.state()
            newest = state.segments[-MERGED:]
            if len(newest) < MERGED or any(one.level != level for one in newest):
                return
            start, end = max(newest[0].start, state.base_rows), newest[-1].end
            if end - start > MAX_MERGED_ROWS:
                return
            rows = state.tail.slice(start - state.base_rows)
            self._write(rows.combine_chunks(), state, start=start, level=level + 1)
            for segment in newest:
                segment.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        if self.exists():
            return
        rows, generation = tables.EVENTS.schema.empty_table(), new_generation()
        with replacing(self.path, durable=True) as partial:
            write_base(rows, partial, generation=generation)


@lru_cache(maxsize=8)
def event_log(home: Home) -> EventLog:
    """The log of a state folder, with what this process has loaded of it."""
    return EventLog(home)
