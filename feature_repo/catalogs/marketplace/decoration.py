"""How lamps, textiles and decoration are drawn."""

from typing import Final

import numpy as np

from feature_repo.catalogs.marketplace.furniture import Draw, detail, leg
from feature_repo.catalogs.marketplace.sketch import Paint, Point, Sketch

VESSELS: Final[dict[str, tuple[Point, ...]]] = {
    "taper": ((0.05, 0.0), (0.05, 0.25), (0.14, 0.7), (0.12, 1.0)),
    "hairpin": ((0.12, 0.0), (0.12, 0.4), (0.12, 0.7), (0.12, 1.0)),
    "block": ((0.13, 0.0), (0.06, 0.2), (0.15, 0.55), (0.08, 1.0)),
    "turned": ((0.1, 0.0), (0.05, 0.18), (0.17, 0.45), (0.05, 0.85), (0.11, 1.0)),
    "cross": ((0.06, 0.0), (0.18, 0.5), (0.18, 0.6), (0.08, 1.0)),
}
"""Outlines (half width, share of the height) by the style's legs."""


def _vessel(sketch: Sketch, top: float, bottom: float, *, wide: float) -> None:
    """A turned body in the style's outline."""
    outline = VESSELS[sketch.style.leg]
    height = bottom - top
    sketch.profile(Paint.BODY, 0.5, [(w * wide, top + y * height) for w, y in outline])


def _shade(sketch: Sketch, top: float, bottom: float, *, narrow: float, wide: float) -> None:
    """A lampshade; rounder styles have a dome."""
    if sketch.style.roundness > 0.55:
        sketch.profile(
            Paint.BODY, 0.5, [(narrow * 0.6, top), (wide, bottom - 0.03), (wide, bottom)]
        )
    else:
        sketch.shape(
            Paint.BODY,
            [(0.5 - narrow, top), (0.5 + narrow, top), (0.5 + wide, bottom), (0.5 - wide, bottom)],
        )
    detail(sketch, 0.5 - wide * 0.9, 0.5 + wide * 0.9, top + 0.02, bottom)


def floor_lamp(sketch: Sketch, rng: np.random.Generator) -> None:
    top = 0.06 + rng.uniform(0, 0.04)
    sketch.line(Paint.FRAME, [(0.5, top + 0.2), (0.5, 0.9)], sketch.style.leg_width)
    if sketch.style.leg in ("taper", "cross"):
        for lean in (-0.13, 0.0, 0.13):
            sketch.line(Paint.FRAME, [(0.5, 0.5), (0.5 + lean, 0.92)], sketch.style.leg_width)
    else:
        sketch.oval(Paint.FRAME, 0.5, 0.91, 0.12, 0.025)
    sketch.oval(Paint.LIGHT, 0.5, top + 0.22, 0.04)
    _shade(sketch, top, top + 0.23, narrow=rng.uniform(0.09, 0.13), wide=rng.uniform(0.17, 0.22))


def table_lamp(sketch: Sketch, rng: np.random.Generator) -> None:
    sketch.line(Paint.FRAME, [(0.5, 0.4), (0.5, 0.6)], 0.02)
    _vessel(sketch, 0.52, 0.86, wide=rng.uniform(0.8, 1.05))
    sketch.box(Paint.FRAME, 0.38, 0.85, 0.62, 0.88, 0.01)
    _shade(sketch, 0.16, 0.46, narrow=rng.uniform(0.13, 0.18), wide=rng.uniform(0.24, 0.3))


def pendant(sketch: Sketch, rng: np.random.Generator) -> None:
    drop = 0.36 + rng.uniform(-0.05, 0.08)
    sketch.line(Paint.FRAME, [(0.5, 0.0), (0.5, drop)], 0.012)
    sketch.oval(Paint.LIGHT, 0.5, drop + 0.3, 0.06)
    _shade(sketch, drop, drop + 0.28, narrow=rng.uniform(0.06, 0.12), wide=rng.uniform(0.24, 0.34))
    sketch.box(Paint.FRAME, 0.46, drop - 0.03, 0.54, drop + 0.02, 0.01)


def rug(sketch: Sketch, rng: np.random.Generator) -> None:
    if sketch.style.roundness > 0.55 and rng.random() < 0.7:
        sketch.oval(Paint.ACCENT, 0.5, 0.55, 0.44, 0.3)
        sketch.oval(Paint.BODY, 0.5, 0.55, 0.41, 0.275)
        return
    skew = rng.uniform(0.03, 0.1)
    top, bottom = 0.26, 0.82
    outer = [(0.06 + skew, top), (0.94 - skew, top), (0.96, bottom), (0.04, bottom)]
    sketch.shape(Paint.ACCENT, outer)
    inset = [(0.1 + skew, top + 0.03), (0.9 - skew, top + 0.03), (0.915, bottom - 0.035)]
    sketch.shape(Paint.BODY, [*inset, (0.085, bottom - 0.035)])
    if sketch.style.detail in ("fringe", "rope", "buttons"):
        for x in np.linspace(0.05, 0.95, 40):
            sketch.line(Paint.SECOND, [(x, bottom), (x, bottom + 0.04)], 0.006)


def cushion(sketch: Sketch, rng: np.random.Generator) -> None:
    half, sag = rng.uniform(0.32, 0.37), rng.uniform(0.02, 0.06)
    steps = np.linspace(-1, 1, 15)
    edge = half - sag * (1 - steps**2)
    square = [(0.5 + x * half, 0.52 - y) for x, y in zip(steps, edge, strict=True)]
    square += [(0.5 + x, 0.52 + y * half) for y, x in zip(steps, edge, strict=True)]
    square += [(0.5 - x * half, 0.52 + y) for x, y in zip(steps, edge, strict=True)]
    square += [(0.5 - x, 0.52 - y * half) for y, x in zip(steps, edge, strict=True)]
    sketch.shape(Paint.BODY, square)
    sketch.line(Paint.ACCENT, [*square, square[0]], 0.01)
    detail(sketch, 0.5 - half * 0.8, 0.5 + half * 0.8, 0.52 - half * 0.8, 0.52 + half * 0.8)


def curtain(sketch: Sketch, rng: np.random.Generator) -> None:
    gather = rng.uniform(0.0, 0.12)
    for side in (-1, 1):
        inner, outer = 0.5 + side * 0.04, 0.5 + side * 0.4
        waist = inner + side * gather
        outline = [(outer, 0.12), (inner, 0.12), (waist, 0.6), (inner + side * 0.03, 0.92)]
        sketch.shape(Paint.BODY, [*outline, (outer, 0.92)])
        for fold in np.linspace(0.15, 0.85, 5):
            x = inner + (outer - inner) * fold
            sketch.line(Paint.PANEL, [(x, 0.13), (x + side * gather / 3, 0.6), (x, 0.92)], 0.005)
        if gather > 0.06:
            sketch.line(Paint.ACCENT, [(waist, 0.6), (outer, 0.58)], 0.016)
    sketch.line(Paint.FRAME, [(0.05, 0.11), (0.95, 0.11)], 0.012 + sketch.style.leg_width / 2)
    for x in (0.05, 0.95):
        sketch.oval(Paint.FRAME, x, 0.11, 0.012 + sketch.style.leg_width / 2)
    detail(sketch, 0.1, 0.9, 0.14, 0.92)


def vase(sketch: Sketch, rng: np.random.Generator) -> None:
    top = 0.3 + rng.uniform(-0.08, 0.06)
    if rng.random() < 0.45:
        for lean in rng.uniform(-0.16, 0.16, 4):
            sketch.line(Paint.ACCENT, [(0.5, top + 0.1), (0.5 + lean, top - 0.16)], 0.008)
            sketch.oval(Paint.SECOND, 0.5 + lean, top - 0.17, 0.03)
    _vessel(sketch, top, 0.87, wide=rng.uniform(1.0, 1.35))
    neck = VESSELS[sketch.style.leg][0][0]
    sketch.oval(Paint.PANEL, 0.5, top, neck * 1.1, 0.015)
    detail(sketch, 0.41, 0.59, top + 0.22, top + 0.3)


def planter(sketch: Sketch, rng: np.random.Generator) -> None:
    for angle in np.linspace(-1.1, 1.1, 9) + rng.uniform(-0.1, 0.1, 9):
        reach = rng.uniform(0.28, 0.42)
        tip = (0.5 + reach * np.sin(angle), 0.5 - reach * np.cos(angle))
        side = (0.5 + 0.5 * reach * np.sin(angle + 0.18), 0.5 - 0.5 * reach * np.cos(angle + 0.18))
        sketch.shape(Paint.ACCENT, [(0.48, 0.52), tip, side])
    wide = rng.uniform(0.2, 0.25)
    base = wide * (0.7 if sketch.style.roundness < 0.55 else 0.45)
    for x in (0.5 - base * 0.7, 0.5 + base * 0.7):
        leg(sketch, x, 0.8, 0.91)
    sketch.profile(Paint.BODY, 0.5, [(wide, 0.5), (wide, 0.6), (base, 0.84)])
    detail(sketch, 0.5 - wide * 0.9, 0.5 + wide * 0.9, 0.51, 0.58)


def _glint(sketch: Sketch) -> None:
    for x, width in ((0.4, 0.03), (0.47, 0.012)):
        sketch.line(Paint.GLINT, [(x, 0.62), (x + 0.14, 0.38)], width)


def mirror(sketch: Sketch, rng: np.random.Generator) -> None:
    rim = rng.uniform(0.025, 0.05)
    if sketch.style.roundness > 0.4:
        rx, ry = rng.uniform(0.28, 0.36), rng.uniform(0.34, 0.4)
        if sketch.style.detail in ("scallop", "fringe"):
            for angle in np.linspace(0, 2 * np.pi, 20, endpoint=False):
                tip = (0.5 + (rx + 0.07) * np.cos(angle), 0.5 + (ry + 0.07) * np.sin(angle))
                sketch.line(Paint.FRAME, [(0.5, 0.5), tip], 0.02)
        sketch.oval(Paint.BODY, 0.5, 0.5, rx + rim, ry + rim)
        sketch.oval(Paint.LIGHT, 0.5, 0.5, rx - rim, ry - rim)
        _glint(sketch)
        return
    wide = rng.uniform(0.22, 0.3)
    sketch.box(Paint.BODY, 0.5 - wide, 0.1, 0.5 + wide, 0.9, 0.02)
    inner = wide - rim - 0.02
    sketch.box(Paint.LIGHT, 0.5 - inner, 0.1 + rim, 0.5 + inner, 0.9 - rim)
    _glint(sketch)
    detail(sketch, 0.5 - inner, 0.5 + inner, 0.12, 0.88)


DECORATION: Final[dict[str, Draw]] = {
    "floor_lamp": floor_lamp,
    "table_lamp": table_lamp,
    "pendant": pendant,
    "rug": rug,
    "cushion": cushion,
    "curtain": curtain,
    "vase": vase,
    "planter": planter,
    "mirror": mirror,
}
