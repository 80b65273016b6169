"""Serve another encoder's rows, once it has them all; and take that back."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from feature_repo.encoder_tables import (
    EMBEDDING_TABLES,
    EncoderRecord,
    encoder_records,
    encoder_table,
    point_at,
    served_hash,
)
from feature_repo.encoders.encoder import Modality
from feature_repo.encoders.registry import lasting_name
from feature_repo.errors import JobError
from feature_repo.feature_tables import CONTENT_HASH
from feature_repo.home import Home
from feature_repo.jobs.contents import catalogue_parts, contents_of
from feature_repo.jobs.refusals import quarantine_folder
from feature_repo.offline_tables import locked, read_file
from validation import tables
from validation.whole_files import replacing

HASHERS: Final = 4
"""Threads that hash photos."""
MIN_DIGITS: Final = 6
"""Of a hash, from which it may stand for an encoder."""


@dataclass(frozen=True, slots=True)
class Filled:
    """How far an encoder is; the counts are of items."""

    done: int
    """With a row of their present photo or text."""
    refused: int
    """Held in quarantine: they can have none."""
    missing: int
    """Without a row, or with one of an earlier photo or text."""


@dataclass(frozen=True, slots=True)
class Switched:
    """What serves now."""

    encoder: EncoderRecord
    instead_of: str | None
    """Name of the encoder that served before; None where nothing did."""
    filled: Filled

    def as_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Switch:
    """One entry of the log of switches; it counts while `became` serves the view."""

    view: str
    was: str
    became: str
    at: str


def use_encoder(name: str, *, home: Home, now: datetime) -> Switched:
    """Serve the rows of an encoder that `extract` filled. One atomic step.

    Args:
        name: as `extract` was given it, the encoder's id, or the first digits of its hash.

    Raises:
        JobError: it has no rows here, lacks some, serves already, or the name means several.
    """
    record = _named(name, home)
    filled = filled_by(record, home)
    if filled.missing:
        raise JobError(
            f"{record.name} has rows of {filled.done} of {filled.done + filled.missing} "
            f"{record.modality}s and lacks {filled.missing}; run `coldstart extract "
            f"--{record.modality}-encoder {record.name}`, then switch"
        )
    return _switch(record, home=home, filled=filled, now=now)


def take_back(*, home: Home, now: datetime) -> Switched:
    """Serve what served before the last switch; its new listings may lack rows until `extract`.

    Raises JobError where no switch is left to take back, or the rows of before are gone.
    """
    log = _read_log(home)
    serving = {table.name: served_hash(home, table.name) for table in EMBEDDING_TABLES.values()}
    last = next((one for one in reversed(log) if one.became == serving[one.view]), None)
    if last is None:
        raise JobError(
            "no switch is left to take back: `coldstart encoders list` shows what serves"
        )
    record = _recorded(home, last.view, last.was)
    if record is None:
        raise JobError(f"the rows of encoder {last.was[:12]}, which served before, are gone")
    return _switch(record, home=home, filled=filled_by(record, home), now=now, taken_back=last)


def filled_by(record: EncoderRecord, home: Home) -> Filled:
    """Compare an encoder's rows with the catalogue as it is."""
    from validation import quarantine

    table = EMBEDDING_TABLES[record.modality]
    rows = read_file(encoder_table(home, record.view, record.hash), table)
    known = set(zip(rows[table.key].to_pylist(), rows[CONTENT_HASH].to_pylist(), strict=True))
    held = quarantine.load(quarantine_folder(home, record.view, record.hash), record.view)
    refused = set(held["key"])
    done = lacking = missing = 0
    with ThreadPoolExecutor(HASHERS) as pool:
        for part in catalogue_parts(home.items):
            contents, _ = contents_of(part, modality=record.modality, pool=pool)
            pairs = zip(
                contents[tables.ITEM_ID].to_pylist(),
                contents[CONTENT_HASH].to_pylist(),
                strict=True,
            )
            without = [item_id for item_id, digest in pairs if (item_id, digest) not in known]
            done += contents.num_rows - len(without)
            lacking += len(without)
            missing += sum(item_id not in refused for item_id in without)
    return Filled(done, lacking - missing, missing)


def _switch(
    record: EncoderRecord,
    *,
    home: Home,
    filled: Filled,
    now: datetime,
    taken_back: _Switch | None = None,
) -> Switched:
    """The log is written before a switch and after taking one back: it never lacks one."""
    view, new = record.view, record.hash
    with locked(home.feature_table(view)), locked(home.encoder_switches):
        was = served_hash(home, view)
        if taken_back is None and was is not None:
            entry = _Switch(view, was, new, now.isoformat())
            _write_log(home, [*_read_log(home), entry])
        folders = {digest: quarantine_folder(home, view, digest) for digest in (was, new) if digest}
        point_at(home, view, new)
        for digest, folder in folders.items():
            _move_held(view, folder, quarantine_folder(home, view, digest))
        if taken_back is not None:
            _write_log(home, [one for one in _read_log(home) if one != taken_back])
    before = _recorded(home, view, was)
    return Switched(record, before.name if before else None, filled)


def _move_held(view: str, folder: Path, to: Path) -> None:
    """What an encoder could not use follows it in and out of the common quarantine."""
    path = folder / f"{view}.parquet"
    if path.exists():
        to.mkdir(parents=True, exist_ok=True)
        os.replace(path, to / path.name)


def _named(name: str, home: Home) -> EncoderRecord:
    """The one recorded encoder that a name means and that does not serve yet."""
    records = _records(home)
    meant = [
        one
        for one in records
        if name in (one.name, one.id)
        or one.name == lasting_name(name)
        or (len(name) >= MIN_DIGITS and one.hash.startswith(name))
    ]
    if not meant:
        known = ", ".join(dict.fromkeys(one.name for one in records)) or "none"
        raise JobError(
            f"{name} has no rows here (extracted are: {known}); run `coldstart extract "
            f"--image-encoder {name}` (or --text-encoder), then switch"
        )
    waiting = [one for one in meant if served_hash(home, one.view) != one.hash]
    if not waiting:
        raise JobError(f"{name} serves already")
    if len(waiting) > 1:
        told = ", ".join(f"{one.name} ({one.hash[:12]})" for one in waiting)
        raise JobError(f"{name} means {len(waiting)} encoders: {told}; give the hash of one")
    return waiting[0]


def _records(home: Home) -> list[EncoderRecord]:
    return [record for modality in Modality for record in encoder_records(home, modality)]


def _recorded(home: Home, view: str, encoder_hash: str | None) -> EncoderRecord | None:
    records = (one for one in _records(home) if (one.view, one.hash) == (view, encoder_hash))
    return next(records, None)


def _read_log(home: Home) -> list[_Switch]:
    if not home.encoder_switches.exists():
        return []
    entries = json.loads(home.encoder_switches.read_text(encoding="utf-8"))
    return [_Switch(**entry) for entry in entries]


def _write_log(home: Home, log: list[_Switch]) -> None:
    with replacing(home.encoder_switches) as partial:
        partial.write_text(
            json.dumps([asdict(entry) for entry in log], indent=2) + "\n", encoding="utf-8"
        )
