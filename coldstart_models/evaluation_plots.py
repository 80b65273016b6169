"""The report's plots as inline SVG whose text and axes take the page's colour."""

import io
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from coldstart_models.benchmark_result import BenchmarkResult, ResultRow
from coldstart_models.data.pools import COLD, FULL, MONTH, WARM
from coldstart_models.metrics import NDCG

INK: Final = "#010203"
"""Drawn in this and replaced by `currentColor`, so that one picture suits light and dark."""
COLORS: Final = {
    "random": "#9aa0a6",
    "popularity": "#c98b2b",
    "content-knn-tfidf": "#8fb8de",
    "content-knn-text": "#5f9ad0",
    "content-knn-image": "#7cc4b5",
    "content-knn": "#2f6fb0",
    "siamese": "#e08a75",
    "siamese+meta": "#d1495b",
    "siamese+date": "#b58bc9",
    "siamese+meta+date": "#8a4fa3",
    "oracle": "#3d8f5a",
}
OTHER_COLOR: Final = "#7f7f7f"
MAIN_MODELS: Final = ("oracle", "siamese+meta", "siamese", "content-knn", "popularity", "random")
"""Shown where a picture has room for a few."""
BEYOND: Final = 1.1
"""Where the control is drawn for a score that leans away from what sells."""
WIDTH: Final = 7.4
"""Inches."""


def quality_plot(result: BenchmarkResult) -> str:
    """NDCG@10 of every model on the cold pool, with intervals; best on top."""
    rows = [row for row in result.results if row.pool == COLD and row.shots == 0]
    rows = sorted(rows, key=lambda row: row.ndcg)
    figure, axes = _figure(height=0.7 + 0.34 * len(rows))
    for place, row in enumerate(rows):
        axes.barh(place, row.ndcg, height=0.6, color=_color(row.model))
        low, high = row.interval[NDCG]
        axes.plot([low, high], [place, place], color=INK, linewidth=1.4)
        axes.text(high, place, f"  {row.ndcg:.3f}", va="center", color=INK, fontsize=9)
    axes.set_yticks(range(len(rows)), [row.model for row in rows])
    axes.set_xlim(0, 1.12 * max((row.interval[NDCG][1] for row in rows), default=1.0) or 1.0)
    axes.set_xlabel(NDCG)
    return _svg(figure)


def shots_plot(result: BenchmarkResult) -> str:
    """NDCG@10 at k shots and at zero shots on the same pool; "" where no k was asked."""
    rows = [row for row in result.results if row.pool.startswith(f"{COLD}>")]
    if not rows:
        return ""
    figure, axes = _figure(height=3.4)
    counts = sorted({_shots_of(row) for row in rows})
    for model in _main(result):
        found = {(_shots_of(row), row.shots > 0): row.ndcg for row in rows if row.model == model}
        places = [place for place, count in enumerate(counts) if (count, True) in found]
        with_support = [found[counts[place], True] for place in places]
        without = [found[counts[place], False] for place in places]
        color = _color(model)
        axes.plot(places, with_support, marker="o", color=color, label=model, linewidth=1.8)
        if with_support != without:
            axes.plot(
                places, without, marker="o", markerfacecolor="none", color=color, linestyle=":"
            )
    axes.set_xticks(range(len(counts)), [f"k = {count}" for count in counts])
    axes.set_ylim(bottom=0)
    axes.set_ylabel(NDCG)
    _legend(axes)
    return _svg(figure)


def breakdown_plot(result: BenchmarkResult, *, by: str) -> str:
    """Recall@20 of the main models by group; "" where the result has no such groups."""
    found = [one for one in result.breakdowns if one.by == by]
    groups = list(dict.fromkeys(one.group for one in found))
    if not groups:
        return ""
    counts = {one.group: one.count for one in found}
    figure, axes = _figure(height=1.0 + 0.36 * len(groups))
    for model in _main(result):
        value = {one.group: one.recall for one in found if one.model == model}
        places = [place for place, group in enumerate(groups) if group in value]
        recalls = [value[groups[place]] for place in places]
        axes.scatter(recalls, places, s=42, color=_color(model), label=model, zorder=3)
    axes.set_yticks(range(len(groups)), [f"{_literal(name)} ({counts[name]})" for name in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.grid(axis="y", color=INK, alpha=0.12)
    axes.set_xlabel("recall@20")
    _legend(axes)
    return _svg(figure)


def _literal(text: str) -> str:
    """As matplotlib writes it literally: a $ would begin a formula."""
    return text.replace("$", r"\$")


def personal_plot(result: BenchmarkResult) -> str:
    """NDCG@10 and popularity lift from the general to the personal; "" where none is steered."""
    curves = list(dict.fromkeys((point.model, point.shots) for point in result.personal))
    if not curves:
        return ""
    figure, (quality, lift) = _figures(height=3.2)
    for model, shots in curves:
        points = [one for one in result.personal if (one.model, one.shots) == (model, shots)]
        places = [BEYOND if point.personal is None else point.personal for point in points]
        own = [place for place, point in enumerate(points) if point.own]
        for axes, values in (
            (quality, [point.ndcg for point in points]),
            (lift, [np.nan if point.lift is None else point.lift for point in points]),
        ):
            axes.plot(
                places,
                values,
                marker="o",
                markevery=own,
                linestyle="--" if shots else "-",
                color=_color(model),
                label=f"{model}{_with_customers(shots)}",
            )
    quality.set_ylabel(NDCG)
    lift.set_ylabel("popularity lift")
    for axes in (quality, lift):
        axes.set_xlabel("general ← personal → the person alone")
        axes.set_xlim(-0.02, BEYOND + 0.02)
    _legend(quality)
    return _svg(figure)


def reliability_plot(result: BenchmarkResult) -> str:
    """Share of choices against predicted chance, both logarithmic; "" where none is told."""
    if not result.reliability:
        return ""
    figure, axes = _figure(height=3.6)
    last = max(one.shots for one in result.reliability)
    drawn = [  # without customers, and with the most of them
        one
        for one in result.reliability
        if one.shots == last or (not one.shots and one.pool == COLD)
    ]
    least = min(min(value for value in one.predicted if value > 0) for one in drawn)
    most = max(max(one.predicted) for one in drawn)
    axes.plot([least, most], [least, most], color=INK, alpha=0.4, linewidth=1)
    for one in drawn:
        axes.plot(
            one.predicted,
            one.observed,
            marker="o",
            linestyle="--" if one.shots else "-",
            color=_color(one.model),
            label=f"{one.model}{_with_customers(one.shots)} (error {one.error:.2f})",
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel("predicted chance of the next choice")
    axes.set_ylabel("share of the choices")
    _legend(axes)
    return _svg(figure)


def _with_customers(shots: int) -> str:
    """What a label says of the first customers that are known."""
    return f", {shots} first customers" if shots else ""


def pool_plot(result: BenchmarkResult) -> str:
    """NDCG@10 of the main models on the cold, month, full and warm pools."""
    pools = [pool for pool in (COLD, MONTH, FULL, WARM) if pool in result.pools]
    if len(pools) < 2:
        return ""
    models = _main(result)
    figure, axes = _figure(height=3.2)
    width = 0.8 / len(models)
    for number, model in enumerate(models):
        rows = {
            row.pool: row.ndcg for row in result.results if row.model == model and not row.shots
        }
        places = [place for place, pool in enumerate(pools) if pool in rows]
        axes.bar(
            [place - 0.4 + (number + 0.5) * width for place in places],
            [rows[pools[place]] for place in places],
            width=0.92 * width,
            color=_color(model),
            label=model,
        )
    axes.set_xticks(range(len(pools)), pools)
    axes.set_ylabel(NDCG)
    _legend(axes)
    return _svg(figure)


def _shots_of(row: ResultRow) -> int:
    """K of the pool ``cold>K``."""
    return int(row.pool.partition(">")[2])


def _main(result: BenchmarkResult) -> Sequence[str]:
    """The main models that were measured, or the first few of what was."""
    measured = result.models
    return [name for name in MAIN_MODELS if name in measured] or measured[: len(MAIN_MODELS)]


def _color(model: str) -> str:
    return COLORS.get(model, OTHER_COLOR)


def _figure(*, height: float) -> tuple[Any, Any]:
    """A figure and its axes, without pyplot's global state."""
    figure, (axes,) = _figures(height=height, count=1)
    return figure, axes


def _figures(*, height: float, count: int = 2) -> tuple[Any, list[Any]]:
    """A figure and its axes, side by side."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    drawn = [figure.add_subplot(1, count, place + 1) for place in range(count)]
    for axes in drawn:
        _plain(axes)
    return figure, drawn


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(INK)
        axes.spines[side].set_alpha(0.4)
    axes.tick_params(colors=INK, labelsize=9)
    axes.xaxis.label.set_color(INK)
    axes.yaxis.label.set_color(INK)


def _legend(axes: Any) -> None:
    axes.legend(
        frameon=False,
        labelcolor=INK,
        fontsize=9,
        ncols=3,
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
    )


def _svg(figure: Any) -> str:
    """The figure as an `svg` element: text as text, no date, the ink as `currentColor`."""
    import matplotlib

    buffer = io.StringIO()
    settings = {"svg.fonttype": "none", "svg.hashsalt": "coldstart", "font.family": "sans-serif"}
    with matplotlib.rc_context(settings):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    text = buffer.getvalue()
    return text[text.index("<svg") :].replace(INK, "currentColor")
