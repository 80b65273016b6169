"""The data-quality report a person opens: one self-contained HTML file of bounded size.

Rows beyond what it shows stand in a CSV file beside it, to which it links.
"""

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pandas as pd

from validation import reasons, tables
from validation.checks import Severity
from validation.comparison_plots import price_plot, trend_plot
from validation.drift import column_drift, filled_shares
from validation.history import Run
from validation.photos import thumbnail
from validation.result import PASS, QUARANTINED, WARN
from validation.summary import MOST_ROWS, Summary
from validation.whole_files import replacing

TEMPLATE: Final = "report.html.j2"
MOST_THUMBNAILS: Final = 60
"""Thumbnails in the whole report, some 3 kB each."""
LONGEST_TEXT: Final = 120

WORDS: Final = {
    PASS: "Everything passed.",
    WARN: "Everything was accepted; some rows could be better.",
    QUARANTINED: "Some rows are in quarantine; the others were accepted.",
}


def write(
    results: Sequence[Summary],
    path: Path,
    *,
    title: str,
    now: datetime,
    known_items: pd.DataFrame | None = None,
    runs: Sequence[Run] = (),
) -> Path:
    """Write the report of these results, in this order, and return its path.

    Args:
        known_items: the accepted catalogue before the batch, canonical, for comparison.
        runs: earlier runs of the gate on the same source, oldest first, for the trend.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("validation", "."),
        autoescape=select_autoescape(default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    thumbnails = _Thumbnails()
    verdict = verdict_of(results)
    html = environment.get_template(TEMPLATE).render(
        title=title,
        now=now.strftime("%Y-%m-%d %H:%M %Z"),
        verdict=verdict,
        words=WORDS[verdict],
        tables=[
            {
                **_table(result, thumbnails),
                "trend": Markup(trend_plot([run for run in runs if run.table == result.table])),
                "download": _download(result, path),
                **(_comparison(result, known_items) if result.table == tables.ITEMS.name else {}),
            }
            for result in results
        ],
    )
    with replacing(path) as partial:
        partial.write_text(html, encoding="utf-8")
    return path


def verdict_of(results: Sequence[Summary]) -> str:
    """The gravest of the results' verdicts."""
    verdicts = {result.verdict for result in results}
    return next((grave for grave in (QUARANTINED, WARN) if grave in verdicts), PASS)


@dataclass(slots=True)
class _Thumbnails:
    """Data URIs of photos, as many as the report may hold."""

    left: int = MOST_THUMBNAILS
    made: dict[str, str | None] = field(default_factory=dict)

    def of(self, photo: object) -> str | None:
        if not isinstance(photo, str) or not photo.strip() or self.left == 0:
            return None
        if photo not in self.made:
            image = thumbnail(Path(photo))
            self.made[photo] = _data_uri(image) if image is not None else None
        self.left -= self.made[photo] is not None
        return self.made[photo]


def _data_uri(image: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=70)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _table(result: Summary, thumbnails: _Thumbnails) -> dict[str, Any]:
    failed = [
        {"name": name, "severity": result.severities[name], "rows": rows}
        for name, rows in result.reason_counts.items()
    ]
    evaluated = sum(len(run["results"]) for run in result.validation.values())
    return {
        **result.as_dict(),
        "checked_at": result.checked_at.strftime("%Y-%m-%d %H:%M %Z"),
        "failed": failed,
        "passed": evaluated - len(failed),
        "sections": [
            _section(heading, result.shown[severity], total, thumbnails)
            for heading, severity, total in (
                ("In quarantine", Severity.BLOCK, result.quarantined),
                ("Accepted, worth mending", Severity.WARN, result.warnings),
            )
        ],
    }


def _comparison(result: Summary, known: pd.DataFrame | None) -> dict[str, Any]:
    """How the accepted listings stand among the catalogue, and who has most to mend."""
    from markupsafe import Markup

    compared: dict[str, Any] = {"worst": result.worst}
    if known is None or known.empty or result.sample.empty:
        return compared
    ours, theirs = filled_shares(result.sample), filled_shares(known)
    return {
        **compared,
        "drift": column_drift(result.sample, known),
        "filled": [
            (name, share, theirs[name]) for name, share in ours.items() if share or theirs[name]
        ],
        "prices": Markup(price_plot(result.sample[tables.PRICE], known[tables.PRICE])),
    }


def _download(result: Summary, path: Path) -> str | None:
    """Name of a CSV file of all rows to mend, written where the page cannot show them all."""
    file = path.with_name(f"{path.stem}.{result.table}.csv")
    if max(result.quarantined, result.warnings) <= MOST_ROWS:
        file.unlink(missing_ok=True)
        return None
    with file.open("w", encoding="utf-8", newline="") as lines:
        for number, rows in enumerate(result.told):
            joined = {name: rows[name].map("; ".join) for name in (reasons.REASONS, reasons.CHECKS)}
            rows.assign(**joined).to_csv(lines, index=False, header=number == 0)
    return file.name


def _section(
    heading: str, rows: pd.DataFrame, total: int, thumbnails: _Thumbnails
) -> dict[str, Any]:
    shown = [_row(row, thumbnails) for row in rows.to_dict("records")]
    return {"heading": heading, "total": total, "rows": shown}


def _row(row: dict[Any, Any], thumbnails: _Thumbnails) -> dict[str, Any]:
    held: dict[str, Any] = json.loads(row[reasons.ROW])
    checks = list(row[reasons.CHECKS])
    about_photo = any(check.startswith("photo_") for check in checks)
    return {
        "number": row[reasons.ROW_NUMBER],
        "key": row[reasons.KEY],
        "source": row[tables.SOURCE],
        "title": _short(held.get(tables.TITLE)),
        "photo": thumbnails.of(held.get(tables.IMAGE_PATH)),
        "no_photo": about_photo,
        "reasons": [sentence.split(": ", 1)[-1] for sentence in row[reasons.REASONS]],
        "checks": checks,
        "values": {name: _short(value) for name, value in held.items() if value not in (None, "")},
    }


def _short(value: object) -> str:
    text = "" if value is None else str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[: LONGEST_TEXT - 1]}…"
