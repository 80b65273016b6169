"""Taking a person out of what keeps copies: what was served, quarantine, reports, checkpoints."""

import html
import json
import re
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from feature_repo import page_log, rotating_lines, served_log
from feature_repo.home import Home
from validation import quarantine, reasons, tables
from validation.whole_files import replacing

REPORTED: Final = (".html", ".json", ".jsonl", ".csv", ".txt", ".md")
"""Kinds of text under reports and gate results that may show a person's id."""


def drop_served(home: Home, user_id: str) -> int:
    """Forget the requests of the person; returns how many."""
    return rotating_lines.drop(
        home.served / served_log.CURRENT,
        files=served_log.FILES,
        going=lambda told: told.get("key") == user_id,
    )


def drop_pages(home: Home, user_id: str, *, session_ids: Collection[str]) -> int:
    """Forget the pages of the person, and of visits that turned out to be theirs."""
    sessions = set(session_ids)

    def going(told: dict[str, Any]) -> bool:
        return told.get("user_id") == user_id or told.get("session_id") in sessions

    return rotating_lines.drop(home.served / page_log.CURRENT, files=page_log.FILES, going=going)


def drop_quarantined(home: Home, user_id: str) -> int:
    """Let events that are held back go where their row or a sentence names the person."""
    held = quarantine.load(home.quarantine, tables.EVENTS.name)
    told = held[reasons.ROW].astype(str) + " " + held[reasons.REASONS].map(" ".join)
    theirs = held.loc[told.map(_naming(user_id)).astype(bool), quarantine.FINGERPRINT]
    return quarantine.release(home.quarantine, tables.EVENTS.name, fingerprints=set(theirs))


def drop_truth(home: Home, user_id: str) -> int:
    """Forget the person's utilities, where a generated source knows them."""
    return _without_user(home.truth, user_id) if home.truth.exists() else 0


def drop_reports(home: Home, user_id: str) -> int:
    """Drop the person's rankings, and reports that show the id; returns files changed.

    A report is made again by the command that made it.
    """
    changed, names = 0, _naming(user_id)
    for folder in (home.reports, home.gate_results):
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.suffix == ".parquet" and path.is_file():
                changed += bool(_without_user(path, user_id))
            elif path.suffix in REPORTED and names(path.read_text("utf-8", errors="replace")):
                path.unlink()
                changed += 1
    return changed


def drop_checkpoints(home: Home) -> int:
    """Forget how far stopped trainings had come; returns how many.

    They learned from the person too, and as the log is another one now none is gone on with.
    """
    reached = list(home.checkpoints.glob("[!.]*.pt"))
    for path in reached:
        path.unlink(missing_ok=True)
    return len(reached)


def _naming(user_id: str) -> Callable[[str], bool]:
    """Whether a text holds the id as a word, also as JSON, CSV and HTML spell it."""
    escaped = html.escape(user_id)
    by_template = escaped.replace("&#x27;", "&#39;").replace("&quot;", "&#34;")  # as Jinja writes
    in_csv = user_id.replace('"', '""')
    spelled = {user_id, json.dumps(user_id)[1:-1], escaped, by_template, in_csv}
    either = "|".join(map(re.escape, sorted(spelled)))
    word = re.compile(rf"(?<![\w-])(?:{either})(?![\w-])")
    return lambda text: word.search(text) is not None


def _without_user(path: Path, user_id: str) -> int:
    """Rewrite a Parquet file that has a column of user ids; returns the rows that went."""
    with pq.ParquetFile(path) as file:
        schema = file.schema_arrow
        if tables.USER_ID not in schema.names:
            return 0
        gone, wanted = 0, pa.scalar(user_id)
        with (
            replacing(path) as partial,
            pq.ParquetWriter(partial, schema, compression="zstd") as to,
        ):
            for batch in file.iter_batches(50_000):
                ids = batch[tables.USER_ID].cast(pa.string())
                kept = batch.filter(pc.fill_null(pc.not_equal(ids, wanted), True))
                gone += batch.num_rows - kept.num_rows
                to.write_batch(kept)
    return gone
