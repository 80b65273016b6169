"""Small pictures for the report, as inline SVG in the page's own colours."""

from collections.abc import Sequence
from html import escape
from typing import Final

import numpy as np
import pandas as pd

from validation.history import Run

WIDTH: Final = 640
BARS: Final = 24
ENOUGH: Final = 30


def price_plot(batch: pd.Series, known: pd.Series) -> str:
    """Histograms of log prices, the batch over the catalogue; "" where there are too few."""
    ours, theirs = (np.log10(prices[prices > 0].to_numpy(dtype=float)) for prices in (batch, known))
    if min(len(ours), len(theirs)) < ENOUGH:
        return ""
    edges = np.histogram_bin_edges(np.concatenate([ours, theirs]), bins=BARS)
    shares = [np.histogram(logs, edges)[0] / len(logs) for logs in (theirs, ours)]
    highest, step = max(share.max() for share in shares), WIDTH / BARS
    bars = [
        _bar(place * step + 1, 110 * share / highest, step - 2, kind)
        for kind, heights in zip(("known", "batch"), shares, strict=True)
        for place, share in enumerate(heights)
    ]
    marks = [
        _text((log - edges[0]) / (edges[-1] - edges[0]) * WIDTH, f"{10**log:,.4g}")
        for log in np.linspace(edges[0], edges[-1], 5)
    ]
    return _picture("Prices of the batch against the catalogue", [*bars, *marks])


def trend_plot(runs: Sequence[Run]) -> str:
    """Share of rows held back and warned of in the last batches; "" for fewer than two."""
    runs = [run for run in runs if run.received]
    if len(runs) < 2:
        return ""
    highest = max(max(run.held, run.warnings / run.received) for run in runs) or 1.0
    step = WIDTH / len(runs)
    bars = []
    for place, run in enumerate(runs):
        told = escape(
            f"{run.checked_at[:16]}: {run.received:,} rows, {run.held:.1%} held, "
            f"{run.warnings / run.received:.1%} warned of"
        )
        warned = _bar(
            place * step + 1, 110 * run.warnings / run.received / highest, step - 2, "warned"
        )
        held = _bar(place * step + step / 4, 110 * run.held / highest, step / 2, "held")
        bars.append(f"<g><title>{told}</title>{warned}{held}</g>")
    ends = [_text(0, runs[0].checked_at[:10]), _text(WIDTH, runs[-1].checked_at[:10])]
    return _picture(
        f"The last {len(runs)} batches; the highest bar is {highest:.1%}", [*bars, *ends]
    )


def _bar(x: float, height: float, width: float, kind: str) -> str:
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{120 - height:.1f}" width="{max(width, 1):.1f}" '
        f'height="{height:.1f}"/>'
    )


def _text(x: float, text: str) -> str:
    anchor = "start" if x <= 0 else "end" if x >= WIDTH else "middle"
    return f'<text x="{x:.0f}" y="136" text-anchor="{anchor}">{escape(text)}</text>'


def _picture(label: str, parts: Sequence[str]) -> str:
    return (
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {WIDTH} 140">'
        f"<title>{escape(label)}</title>{''.join(parts)}</svg>"
    )
