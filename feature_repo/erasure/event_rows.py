"""Taking a person's rows out of the event log, its index and the places that are kept of it.

The log is written again without them as one new generation; log and places come into force with
one rename. Before it nothing has changed; what is left to do after it are files that nobody reads.
"""

import json
import shutil
from bisect import bisect_left
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo.erasure import journal
from feature_repo.erasure.journal import Erasure
from feature_repo.event_log import COMPACT_LOCK, event_log
from feature_repo.home import Home
from feature_repo.jobs.transaction import locked, together
from feature_repo.log_state import NUMBER, Position, footed, new_generation
from validation import tables
from validation.whole_files import alone, identity_of, replacing


def described(home: Home, user_id: str, *, hash: str, now: datetime) -> Erasure:  # noqa: A002
    """What is to be erased of the log as it is."""
    state, numbers = event_log(home).state(), list[int]()
    items, sessions = set[str](), set[str]()
    for batch in state.batches():
        own = batch.filter(pc.equal(batch[tables.USER_ID], user_id))
        numbers += own[NUMBER].to_pylist()
        items.update(own[tables.ITEM_ID].to_pylist())
        sessions.update(own[tables.SESSION_ID].drop_null().to_pylist())
    return Erasure(
        user_id=user_id,
        hash=hash,
        erased_at=now.isoformat(),
        old_generation=state.generation,
        old_rows=state.rows,
        new_generation=new_generation(),
        numbers=tuple(numbers),
        item_ids=tuple(sorted(items)),
        session_ids=tuple(sorted(sessions)),
    )


def rewrite_log(home: Home, erasure: Erasure) -> Erasure:
    """Put the log without the person's rows in place. Hold the lock of the online places.

    Nothing is done where that was done before. It waits while others merge, append or ingest.

    Returns:
        The erasure as it was done: a log that changed since it was described is looked at again.
    """
    log, folder = event_log(home), home.events.parent
    with alone(folder / COMPACT_LOCK), locked(folder, wait=True):
        state = log.state()
        done = state.generation == erasure.new_generation
        seen = Position(erasure.old_generation, erasure.old_rows)
        if not done and state.position != seen:
            erasure = _described_again(home, erasure)
        if log.exists() and not done and erasure.numbers:
            with ExitStack() as index, together(folder) as change:
                partial = change.content_of(home.events)
                _write_without(state.batches(), erasure, partial)
                index.enter_context(log.indexed_ahead(partial))
                if home.online_position.exists():
                    moved = _moved_places(home.online_position, erasure)
                    change.content_of(home.online_position).write_text(moved, encoding="utf-8")
        _remove_left_over(home)
    log.warm()
    return erasure


def move_lineage(home: Home, erasure: Erasure) -> None:
    """Let what is known of the offline tables' makers name the new log."""
    for path in sorted((home.features / "lineage").glob("*.json")):
        record = json.loads(path.read_text(encoding="utf-8"))
        read = record.get("inputs", {}).get(tables.EVENTS.name)
        if read and read["version"] == erasure.old_generation:
            read["version"] = erasure.new_generation
            read["rows"] = _moved(read["rows"], erasure.numbers)
            with replacing(path) as partial:
                partial.write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _described_again(home: Home, erasure: Erasure) -> Erasure:
    """What is to be erased of a log that an ingest replaced, or that grew, since; written down."""
    now = described(home, erasure.user_id, hash=erasure.hash, now=erasure.moment)
    again = replace(
        now,
        item_ids=tuple(sorted({*erasure.item_ids, *now.item_ids})),
        session_ids=tuple(sorted({*erasure.session_ids, *now.session_ids})),
    )
    journal.begin(home, again)
    return again


def _write_without(batches: pa.RecordBatchReader, erasure: Erasure, path: Path) -> None:
    with pq.ParquetWriter(path, footed(erasure.new_generation), compression="zstd") as to:
        for batch in batches:
            kept = batch.filter(
                pc.fill_null(pc.not_equal(batch[tables.USER_ID], erasure.user_id), True)
            )
            to.write_table(pa.Table.from_batches([kept]).drop_columns([NUMBER]))


def _moved_places(path: Path, erasure: Erasure) -> str:
    """The places up to which the log is online, as places of the new log."""
    kept: dict[str, dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    for place in kept.values():
        if place["generation"] == erasure.old_generation:
            place["generation"] = erasure.new_generation
            place["rows"] = _moved(place["rows"], erasure.numbers)
    return json.dumps(kept) + "\n"


def _moved(rows: int, numbers: Sequence[int]) -> int:
    """How many of the first `rows` rows are left."""
    return rows - bisect_left(numbers, rows)


def _remove_left_over(home: Home) -> None:
    """Remove files of the log before: small ones, indexes, and what a killed writer left.

    Nobody writes them while the locks of merging and of the catalogue are held.
    """
    event_log(home).forget_replaced()
    for path in home.events.parent.glob(f".{home.events.name}.*partial"):
        path.unlink(missing_ok=True)
    for path in home.event_segments.rglob(".*.partial"):
        path.unlink(missing_ok=True)
    current = identity_of(home.events)
    for path in home.event_index.iterdir() if home.event_index.is_dir() else ():
        if path.name != current:
            shutil.rmtree(path, ignore_errors=True)
