"""How furniture is drawn; a style decides legs, corners and details."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

import numpy as np

from feature_repo.catalogs.marketplace.sketch import Paint, Sketch

Draw = Callable[[Sketch, np.random.Generator], None]


def leg(sketch: Sketch, x: float, top: float, bottom: float, *, lean: float = 0.0) -> None:
    """One leg in the style's manner; `lean` moves its foot sideways."""
    style, width = sketch.style, sketch.style.leg_width
    foot = x + lean
    if style.leg == "taper":
        half = width * 0.75
        sketch.shape(
            Paint.FRAME,
            [
                (x - half, top),
                (x + half, top),
                (foot + half / 2, bottom),
                (foot - half / 2, bottom),
            ],
        )
    elif style.leg == "hairpin":
        sketch.line(Paint.FRAME, [(x - 0.025, top), (foot, bottom), (x + 0.025, top)], width)
    elif style.leg == "cross":
        sketch.line(Paint.FRAME, [(x - 0.035, top), (foot + 0.03, bottom)], width)
        sketch.line(Paint.FRAME, [(x + 0.035, top), (foot - 0.03, bottom)], width)
    elif style.leg == "turned":
        height = bottom - top
        outline = [(0.8, 0.0), (0.35, 0.2), (1.0, 0.45), (0.4, 0.7), (0.75, 1.0)]
        sketch.profile(Paint.FRAME, x, [(w * width, top + y * height) for w, y in outline])
    else:
        sketch.box(Paint.FRAME, x - width, top, x + width, bottom)


def detail(sketch: Sketch, left: float, right: float, top: float, bottom: float) -> None:
    """What the style puts on a body between the given edges."""
    kind, below = sketch.style.detail, len(sketch.layers)
    sketch.seal()
    count = max(3, round((right - left) / 0.07))
    across = np.linspace(left, right, count)
    if kind == "rivets":
        for x in across:
            sketch.oval(Paint.FRAME, x, bottom, 0.008)
    elif kind == "fringe":
        for x in np.linspace(left, right, count * 3):
            sketch.line(Paint.ACCENT, [(x, bottom), (x, bottom + 0.045)], 0.006)
    elif kind == "scallop":
        for start, end in pairwise(across):
            middle, half = (start + end) / 2, (end - start) / 2
            sketch.arc(Paint.FRAME, middle, top, half, 0.03, (180, 360), 0.008)
    elif kind == "buttons":
        for row, y in enumerate(np.linspace(top, bottom, 4)[1:-1]):
            for x in across[1:-1] + (row % 2) * (across[1] - across[0]) / 2:
                sketch.oval(Paint.PANEL, x, y, 0.011)
    elif kind == "rope":
        sketch.line(Paint.SECOND, [(left, bottom), (right, bottom)], 0.014)
        for x in np.linspace(left, right, count * 2):
            sketch.line(Paint.ACCENT, [(x, bottom + 0.006), (x + 0.01, bottom - 0.006)], 0.004)
    if kind != "fringe":
        sketch.trim(below)


def _corner(sketch: Sketch, size: float) -> float:
    return sketch.style.roundness * size


def sofa(sketch: Sketch, rng: np.random.Generator) -> None:
    left, right = 0.08 + rng.uniform(0, 0.05), 0.92 - rng.uniform(0, 0.05)
    back, seat = 0.36 + rng.uniform(-0.04, 0.04), 0.55
    arm = rng.uniform(0.07, 0.11)
    for x, lean in ((left + 0.07, -0.02), (right - 0.07, 0.02)):
        leg(sketch, x, 0.7, 0.8, lean=lean)
    sketch.box(Paint.BODY, left + 0.03, back, right - 0.03, 0.66, _corner(sketch, 0.12))
    detail(sketch, left + arm + 0.02, right - arm - 0.02, back + 0.02, seat - 0.03)
    seats = int(rng.integers(2, 4))
    edges = np.linspace(left + arm, right - arm, seats + 1)
    for start, end in pairwise(edges):
        sketch.box(Paint.PANEL, start, seat - 0.004, end, 0.655, 0.02)
        sketch.box(Paint.BODY, start + 0.004, seat, end - 0.004, 0.65, 0.02)
    sketch.box(Paint.PANEL, left, 0.645, right, 0.71, 0.01)
    for start in (left, right - arm):
        sketch.box(Paint.BODY, start, 0.48, start + arm, 0.71, _corner(sketch, 0.07))
    if rng.random() < 0.6:
        x = rng.uniform(left + arm + 0.08, right - arm - 0.08)
        sketch.box(Paint.SECOND, x - 0.06, 0.44, x + 0.06, 0.56, 0.02)


def armchair(sketch: Sketch, rng: np.random.Generator) -> None:
    wide = rng.uniform(0.25, 0.3)
    left, right, back = 0.5 - wide, 0.5 + wide, 0.22 + rng.uniform(-0.03, 0.04)
    for x, lean in ((left + 0.07, -0.02), (right - 0.07, 0.02)):
        leg(sketch, x, 0.72, 0.88, lean=lean)
    sketch.box(Paint.BODY, left + 0.04, back, right - 0.04, 0.7, _corner(sketch, 0.2))
    detail(sketch, left + 0.12, right - 0.12, back + 0.04, 0.5)
    sketch.box(Paint.PANEL, left + 0.08, 0.555, right - 0.08, 0.69, 0.02)
    sketch.box(Paint.BODY, left + 0.085, 0.56, right - 0.085, 0.66, 0.03)
    for start in (left, right - 0.1):
        sketch.box(Paint.BODY, start, 0.47, start + 0.1, 0.74, _corner(sketch, 0.08))


def chair(sketch: Sketch, rng: np.random.Generator) -> None:
    left, right = 0.31, 0.69
    top = 0.14 + rng.uniform(0, 0.06)
    leg(sketch, left + 0.03, 0.56, 0.9, lean=-0.03)
    leg(sketch, right - 0.03, 0.56, 0.9, lean=0.03)
    for x in (left + 0.02, right - 0.02):
        sketch.line(Paint.FRAME, [(x, top), (x, 0.56)], sketch.style.leg_width * 1.2)
    sketch.box(Paint.BODY, left, top, right, 0.42, _corner(sketch, 0.14))
    detail(sketch, left + 0.04, right - 0.04, top + 0.03, 0.4)
    sketch.box(Paint.BODY, left - 0.03, 0.52, right + 0.03, 0.6, _corner(sketch, 0.05))


def stool(sketch: Sketch, rng: np.random.Generator) -> None:
    height = 0.34 + rng.uniform(0, 0.14)
    for x, lean in ((0.36, -0.05), (0.64, 0.05)):
        leg(sketch, x, height + 0.06, 0.9, lean=lean)
    sketch.line(Paint.FRAME, [(0.33, 0.74), (0.67, 0.74)], sketch.style.leg_width)
    if sketch.style.roundness > 0.4:
        sketch.oval(Paint.BODY, 0.5, height + 0.04, 0.2, 0.07)
        sketch.oval(Paint.BODY, 0.5, height + 0.01, 0.2, 0.06)
    else:
        sketch.box(Paint.BODY, 0.3, height, 0.7, height + 0.1, 0.02)
    detail(sketch, 0.34, 0.66, height, height + 0.08)


def table(sketch: Sketch, rng: np.random.Generator) -> None:
    left, right, top = 0.07, 0.93, 0.38 + rng.uniform(-0.05, 0.05)
    for x, lean in ((left + 0.1, -0.03), (right - 0.1, 0.03)):
        leg(sketch, x, top + 0.06, 0.84, lean=lean)
    if sketch.style.roundness > 0.4:
        sketch.oval(Paint.PANEL, 0.5, top + 0.045, 0.43, 0.075)
        sketch.oval(Paint.BODY, 0.5, top + 0.02, 0.43, 0.075)
    else:
        sketch.box(Paint.PANEL, left + 0.03, top + 0.05, right - 0.03, top + 0.11)
        skew = 0.08
        sketch.shape(
            Paint.BODY,
            [
                *((left + skew, top - 0.08), (right - skew, top - 0.08)),
                *((right, top + 0.05), (left, top + 0.05)),
            ],
        )
    detail(sketch, left + 0.1, right - 0.1, top + 0.05, top + 0.1)


def side_table(sketch: Sketch, rng: np.random.Generator) -> None:
    top, half = 0.36 + rng.uniform(-0.04, 0.06), rng.uniform(0.2, 0.25)
    for x, lean in ((0.5 - half * 0.6, -0.05), (0.5 + half * 0.6, 0.05)):
        leg(sketch, x, top + 0.05, 0.86, lean=lean)
    sketch.oval(Paint.PANEL, 0.5, top + 0.05, half, 0.07)
    sketch.oval(Paint.BODY, 0.5, top + 0.02, half, 0.07)
    if rng.random() < 0.5:
        sketch.oval(Paint.BODY, 0.5, 0.7, half * 0.8, 0.045)


def shelf(sketch: Sketch, rng: np.random.Generator) -> None:
    left, right, top, bottom = 0.24, 0.76, 0.1, 0.9
    boards = int(rng.integers(4, 6))
    if rng.random() < 0.5:
        sketch.box(Paint.PANEL, left, top, right, bottom)
    levels = np.linspace(top + 0.02, bottom - 0.04, boards)
    for level in levels[1:]:
        x = left + 0.06
        while x < right - 0.12:
            wide, tall = rng.uniform(0.02, 0.06), rng.uniform(0.05, 0.12)
            paint = (Paint.SECOND, Paint.ACCENT)[int(rng.integers(2))]
            if rng.random() < 0.6:
                sketch.box(paint, x, level - tall, x + wide, level)
            x += wide + 0.008
    for level in levels:
        sketch.box(Paint.BODY, left, level - 0.014, right, level + 0.014)
    for x in (left, right):
        width = 0.5 * sketch.style.leg_width + 0.008
        sketch.box(Paint.FRAME, x - width, top, x + width, bottom + 0.02)
    detail(sketch, left + 0.03, right - 0.03, top, top + 0.03)


def bed(sketch: Sketch, rng: np.random.Generator) -> None:
    left, right, head = 0.1, 0.9, 0.24 + rng.uniform(-0.04, 0.05)
    for x in (left + 0.04, right - 0.04):
        leg(sketch, x, 0.78, 0.88)
    sketch.box(Paint.BODY, left, head, right, 0.8, _corner(sketch, 0.14))
    detail(sketch, left + 0.08, right - 0.08, head + 0.02, 0.44)
    for x in (0.3, 0.7):
        sketch.box(Paint.LIGHT, x - 0.13, 0.42, x + 0.13, 0.54, 0.05)
    sketch.box(Paint.LIGHT, left + 0.03, 0.52, right - 0.03, 0.68, 0.03)
    sketch.shape(
        Paint.SECOND,
        [(left + 0.03, 0.58), (right - 0.03, 0.58), (right, 0.74), (left, 0.74)],
    )
    sketch.box(Paint.PANEL, left, 0.73, right, 0.82, 0.01)


FURNITURE: Final[dict[str, Draw]] = {
    "sofa": sofa,
    "armchair": armchair,
    "chair": chair,
    "stool": stool,
    "table": table,
    "side_table": side_table,
    "shelf": shelf,
    "bed": bed,
}
