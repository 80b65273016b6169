"""The evaluation report: one HTML file with the tables, the plots and example recommendations."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from coldstart_models.benchmark_result import BenchmarkResult, ResultRow
from coldstart_models.data.pools import COLD, FULL, MONTH, WARM
from coldstart_models.evaluation_plots import (
    breakdown_plot,
    personal_plot,
    pool_plot,
    quality_plot,
    reliability_plot,
    shots_plot,
)
from validation.whole_files import replacing

TEMPLATE: Final = Path(__file__).with_name("evaluation_report.html.j2")
THUMBNAIL: Final = 112
"""Pixels of a thumbnail's longer side."""
MAX_EXAMPLES: Final = 12
MAX_HISTORY: Final = 8
MAX_RECOMMENDED: Final = 10

POOL_MEANING: Final = {
    COLD: "every new listing in one pool",
    MONTH: "within the launches of one calendar month",
    FULL: "the whole catalogue, new and known, less what the user already chose",
    WARM: "known listings alone, chosen for the first time after the cutoff",
}


@dataclass(frozen=True, slots=True)
class ExampleItem:
    """A listing as an example shows it."""

    item_id: str
    title: str
    photo: Path | None = None
    reason: str = ""
    """Why it is recommended, derived from the score; empty in a history."""
    chosen: bool = False
    """Whether the user chose it later: it is in the truth."""


@dataclass(frozen=True, slots=True)
class Example:
    """What one user had chosen and what is recommended."""

    user_id: str
    history: list[ExampleItem]
    """Newest first."""
    recommended: list[ExampleItem] = field(default_factory=list)
    """Best first."""


@dataclass(frozen=True, slots=True)
class Plot:
    """One picture with its words."""

    title: str
    note: str
    svg: str


def write_report(
    result: BenchmarkResult,
    examples: Sequence[Example],
    path: Path,
    *,
    title: str,
    generated: bool,
    now: datetime,
) -> Path:
    """Write the self-contained report and return its path.

    Args:
        result: what a benchmark found.
        examples: shown up to MAX_EXAMPLES users.
        generated: whether the data was made up; the report then says so at the top.
        now: the moment it is dated with.
    """
    page = render_report(result, examples, title=title, generated=generated, now=now)
    with replacing(path) as partial:
        partial.write_text(page, encoding="utf-8")
    return path


def render_report(
    result: BenchmarkResult,
    examples: Sequence[Example],
    *,
    title: str,
    generated: bool,
    now: datetime,
) -> str:
    """The report's HTML."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    template = environment.from_string(TEMPLATE.read_text(encoding="utf-8"))
    shown = [_limited(example) for example in examples[:MAX_EXAMPLES]]
    return template.render(
        title=title,
        generated=generated,
        now=f"{now:%Y-%m-%d %H:%M} UTC",
        result=result,
        pools=[_pool_table(result, pool) for pool in _single_pools(result)],
        shots=_shots_table(result),
        plots=_plots(result),
        examples=shown,
        thumbnail=thumbnail,
    )


def _limited(example: Example) -> Example:
    return Example(
        example.user_id, example.history[:MAX_HISTORY], example.recommended[:MAX_RECOMMENDED]
    )


def _single_pools(result: BenchmarkResult) -> list[str]:
    """The pools without shots, in the result's order."""
    return [pool for pool in result.pools if not pool.startswith(f"{COLD}>")]


def _pool_table(result: BenchmarkResult, pool: str) -> dict[str, Any]:
    """One pool's rows, the best of each metric marked (the oracle aside)."""
    rows = [row for row in result.results if row.pool == pool and row.shots == 0]
    rivals = [row for row in rows if row.model != "oracle"]
    best = {
        name: max((getattr(row, name) or 0.0 for row in rivals), default=0.0)
        for name in ("recall", "ndcg", "mrr", "auc")
    }
    return {"name": pool, "meaning": POOL_MEANING.get(pool, ""), "rows": rows, "best": best}


def _shots_table(result: BenchmarkResult) -> dict[str, Any] | None:
    """NDCG@10 at k shots beside zero shots on the same pool; None where no k was asked."""
    pools = [pool for pool in result.pools if pool.startswith(f"{COLD}>")]
    if not pools:
        return None
    lines = []
    for model in result.models:
        cells: list[tuple[ResultRow | None, ResultRow | None]] = []
        for pool in pools:
            found = {
                row.shots > 0: row
                for row in result.results
                if row.model == model and row.pool == pool
            }
            cells.append((found.get(False), found.get(True)))
        lines.append({"model": model, "cells": cells})
    return {"pools": pools, "lines": lines}


def _plots(result: BenchmarkResult) -> list[Plot]:
    """The pictures that the result has the data for."""
    made = [
        (
            "Quality on new listings",
            "NDCG@10 on the cold pool at zero shots; bars are bootstrap 95 % intervals over users.",
            quality_plot(result),
        ),
        (
            "Quality against shots",
            "NDCG@10 once a listing's first k users are known (filled), and without them on the "
            "same listings and users (hollow). Each k has its own pool, so compare within a k.",
            shots_plot(result),
        ),
        (
            "Per category",
            "Recall@20 on the cold pool, by the category of the listing; in brackets the pairs "
            "of user and listing.",
            breakdown_plot(result, by="category"),
        ),
        (
            "Per history length",
            "Recall@20 on the cold pool, by how many distinct listings the user had chosen; in "
            "brackets the users.",
            breakdown_plot(result, by="history"),
        ),
        (
            "People from other departments",
            "Recall@20 on the cold pool, by whether the user had chosen in the ranked department "
            "before; in brackets the users.",
            breakdown_plot(result, by="domain"),
        ),
        (
            "Per warmth of the listing",
            "Recall@20 among listings of equal warmth: new ones, and known ones by how many "
            "people had chosen them before the cutoff; in brackets the users.",
            breakdown_plot(result, by="warmth"),
        ),
        (
            "General against personal",
            "NDCG@10 on the cold pool, and how much more often the listings shown are chosen by "
            "anybody than the pool's (1 is no lean to the popular), from what sells in general, on "
            "the left, to the person alone. The mark is where the model learned to stand; right of "
            "all where it learned to lean away from what sells.",
            personal_plot(result),
        ),
        (
            "Sureness",
            "Whether chances come true: the share of the choices among the new listings that pairs "
            "of one predicted chance have; on the line they are calibrated. A dashed line is of "
            f"first customers known.{_own_errors(result)}"
            f"{_strangers(result)}",
            reliability_plot(result),
        ),
        (
            "Cold against warm",
            "NDCG@10 by pool. Pools differ in size and in truth, so compare models within one.",
            pool_plot(result),
        ),
    ]
    return [Plot(title, note, svg) for title, note, svg in made if svg]


def _own_errors(result: BenchmarkResult) -> str:
    """How far listings are off on their own, as said and as found; "" where no model says it."""
    if not result.reliability:
        return ""
    model = result.reliability[-1].model
    told = {
        one.shots: f"{one.own_said:.2f} and {one.own_found:.2f} with {one.shots}"
        for one in result.reliability
        if one.model == model and (one.shots or one.pool == COLD)
    }
    return (
        f" The variance of a listing's own log rate was said to be, and found to be, by first "
        f"customers ({model}): {', '.join(told[shots] for shots in sorted(told))}."
    )


def _strangers(result: BenchmarkResult) -> str:
    """What became of what strangers are shown; "" where no model says how sure it is."""
    if not result.demand:
        return ""
    one = result.demand[0]
    return (
        f" What strangers are ranked by came out within one deviation of {one.within_one:.0%} of "
        f"{one.items} new listings, and within two of {one.within_two:.0%} (68 and 95 % by a "
        "normal error)."
    )


@lru_cache(maxsize=512)
def thumbnail(photo: Path | None) -> str:
    """A data URI of the photo, at most THUMBNAIL pixels wide and high; "" where there is none.

    A photo that cannot be read any more is shown as absent.
    """
    from feature_repo.encoders.content import UnreadablePhoto, open_photo

    if photo is None:
        return ""
    try:
        image = open_photo(photo)
    except UnreadablePhoto:
        return ""
    image.thumbnail((THUMBNAIL, THUMBNAIL))
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=75, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
