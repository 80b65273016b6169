"""How the source domain is drawn: clothing, bags and electronics."""

from typing import Final

import numpy as np

from feature_repo.catalogs.marketplace.furniture import Draw, detail
from feature_repo.catalogs.marketplace.sketch import Paint, Sketch


def dress(sketch: Sketch, rng: np.random.Generator) -> None:
    flare, waist = rng.uniform(0.2, 0.32), rng.uniform(0.09, 0.12)
    for side in (-1, 1):
        sketch.line(Paint.BODY, [(0.5 + side * 0.08, 0.08), (0.5 + side * 0.09, 0.2)], 0.03)
    outline = [(0.11, 0.18), (0.13, 0.26), (waist, 0.42), (flare * 0.8, 0.72), (flare, 0.9)]
    sketch.profile(Paint.BODY, 0.5, outline)
    sketch.box(Paint.ACCENT, 0.5 - waist - 0.01, 0.4, 0.5 + waist + 0.01, 0.435, 0.01)
    detail(sketch, 0.5 - flare * 0.9, 0.5 + flare * 0.9, 0.5, 0.89)


def _torso(sketch: Sketch, half: float, top: float, hem: float, sleeve: float) -> None:
    """A body with two sleeves that hang `sleeve` deep."""
    for side in (-1, 1):
        edge, cuff = 0.5 + side * half, 0.5 + side * (half + 0.16)
        shoulder = [(0.5 + side * 0.08, top), (edge, top + 0.03), (cuff, top + sleeve)]
        sketch.shape(Paint.BODY, [*shoulder, (cuff - side * 0.1, top + sleeve + 0.03), (edge, 0.4)])
    sketch.shape(
        Paint.BODY,
        [
            *((0.5 - half, top + 0.02), (0.42, top), (0.58, top), (0.5 + half, top + 0.02)),
            *((0.5 + half, hem), (0.5 - half, hem)),
        ],
    )


def shirt(sketch: Sketch, rng: np.random.Generator) -> None:
    half = rng.uniform(0.2, 0.24)
    _torso(sketch, half, 0.16, 0.86, rng.uniform(0.18, 0.45))
    sketch.oval(Paint.PANEL, 0.5, 0.165, 0.085, 0.04)
    detail(sketch, 0.5 - half, 0.5 + half, 0.7, 0.84)


def coat(sketch: Sketch, rng: np.random.Generator) -> None:
    half = rng.uniform(0.21, 0.25)
    _torso(sketch, half, 0.1, 0.92, 0.5)
    sketch.line(Paint.PANEL, [(0.5, 0.14), (0.5, 0.92)], 0.008)
    for side in (-1, 1):
        sketch.shape(
            Paint.SECOND,
            [(0.5, 0.34), (0.5 + side * 0.11, 0.1), (0.5 + side * 0.16, 0.2)],
        )
        sketch.box(Paint.PANEL, *_between(0.5 + side * 0.08, 0.5 + side * 0.18, 0.62, 0.64))
    for y in np.linspace(0.42, 0.8, 4):
        sketch.oval(Paint.FRAME, 0.54, y, 0.014)
    detail(sketch, 0.5 - half, 0.5 + half, 0.7, 0.91)


def _between(one: float, other: float, top: float, bottom: float) -> tuple[float, ...]:
    return (min(one, other), top, max(one, other), bottom)


def skirt(sketch: Sketch, rng: np.random.Generator) -> None:
    flare = rng.uniform(0.26, 0.36)
    sketch.profile(Paint.BODY, 0.5, [(0.15, 0.18), (flare * 0.8, 0.55), (flare, 0.86)])
    for share in np.linspace(-0.7, 0.7, 6):
        sketch.line(Paint.PANEL, [(0.5 + share * 0.15, 0.22), (0.5 + share * flare, 0.86)], 0.004)
    sketch.box(Paint.ACCENT, 0.34, 0.15, 0.66, 0.21, 0.01)
    detail(sketch, 0.5 - flare, 0.5 + flare, 0.5, 0.86)


def scarf(sketch: Sketch, rng: np.random.Generator) -> None:
    drop = rng.uniform(0.75, 0.85)
    sketch.shape(Paint.BODY, [(0.52, 0.3), (0.7, 0.3), (0.74, drop), (0.55, drop)])
    sketch.shape(Paint.BODY, [(0.32, 0.3), (0.5, 0.3), (0.46, drop - 0.1), (0.27, drop - 0.1)])
    for start, y in ((0.55, drop), (0.27, drop - 0.1)):
        for x in np.linspace(start, start + 0.19, 10):
            sketch.line(Paint.SECOND, [(x, y), (x, y + 0.05)], 0.008)
    sketch.oval(Paint.BODY, 0.5, 0.27, 0.25, 0.14)
    sketch.oval(Paint.PANEL, 0.5, 0.23, 0.15, 0.06)


def tote(sketch: Sketch, rng: np.random.Generator) -> None:
    top, wide = rng.uniform(0.36, 0.42), rng.uniform(0.28, 0.34)
    sketch.arc(Paint.ACCENT, 0.5, top, 0.15, rng.uniform(0.2, 0.28), (180, 360), 0.025)
    sketch.shape(
        Paint.BODY,
        [(0.5 - wide, top), (0.5 + wide, top), (0.5 + wide - 0.04, 0.88), (0.54 - wide, 0.88)],
    )
    detail(sketch, 0.53 - wide, 0.47 + wide, top + 0.03, top + 0.1)
    sketch.box(Paint.FRAME, 0.46, top + 0.01, 0.54, top + 0.05, 0.01)


def backpack(sketch: Sketch, rng: np.random.Generator) -> None:
    wide = rng.uniform(0.22, 0.27)
    sketch.arc(Paint.ACCENT, 0.5, 0.16, 0.07, 0.08, (180, 360), 0.022)
    sketch.box(Paint.BODY, 0.5 - wide, 0.15, 0.5 + wide, 0.9, 0.08 + sketch.style.roundness * 0.1)
    sketch.box(Paint.PANEL, 0.5 - wide + 0.04, 0.535, 0.5 + wide - 0.04, 0.85, 0.05)
    sketch.box(Paint.BODY, 0.5 - wide + 0.05, 0.545, 0.5 + wide - 0.05, 0.84, 0.04)
    sketch.box(Paint.SECOND, 0.5 - wide - 0.01, 0.4, 0.5 + wide + 0.01, 0.44)
    for x in (0.42, 0.58):
        sketch.box(Paint.FRAME, x - 0.018, 0.4, x + 0.018, 0.5, 0.005)
    detail(sketch, 0.55 - wide, 0.45 + wide, 0.2, 0.38)


def headphones(sketch: Sketch, rng: np.random.Generator) -> None:
    reach = rng.uniform(0.27, 0.31)
    sketch.arc(Paint.FRAME, 0.5, 0.52, reach, 0.36, (180, 360), 0.045)
    sketch.arc(Paint.BODY, 0.5, 0.52, reach, 0.36, (215, 325), 0.07)
    for side in (-1, 1):
        x = 0.5 + side * reach
        if sketch.style.roundness > 0.3:
            sketch.oval(Paint.PANEL, x - side * 0.05, 0.62, 0.08, 0.16)
            sketch.oval(Paint.BODY, x, 0.62, 0.09, 0.17)
        else:
            sketch.box(Paint.PANEL, x - 0.1, 0.47, x + 0.1, 0.77, 0.03)
            sketch.box(Paint.BODY, x - 0.07, 0.45, x + 0.07, 0.79, 0.02)
        sketch.oval(Paint.ACCENT, x, 0.62, 0.025)


def speaker(sketch: Sketch, rng: np.random.Generator) -> None:
    wide, top = rng.uniform(0.2, 0.3), rng.uniform(0.14, 0.3)
    corner = 0.02 + sketch.style.roundness * 0.16
    sketch.box(Paint.FRAME, 0.5 - wide - 0.02, top - 0.02, 0.5 + wide + 0.02, 0.88, corner)
    sketch.box(Paint.BODY, 0.5 - wide, top, 0.5 + wide, 0.86, corner)
    radius = min(wide, 0.24) * 0.72
    sketch.oval(Paint.FRAME, 0.5, 0.62, radius + 0.015)
    sketch.oval(Paint.ACCENT, 0.5, 0.62, radius)
    sketch.oval(Paint.SECOND, 0.5, 0.62, radius * 0.4)
    if top < 0.24:
        sketch.oval(Paint.ACCENT, 0.5, top + 0.12, 0.07)
    detail(sketch, 0.53 - wide, 0.47 + wide, top + 0.02, 0.84)


def phone_case(sketch: Sketch, rng: np.random.Generator) -> None:
    wide = rng.uniform(0.19, 0.22)
    corner = 0.03 + sketch.style.roundness * 0.04
    sketch.box(Paint.FRAME, 0.49 - wide, 0.09, 0.51 + wide, 0.91, corner + 0.01)
    sketch.box(Paint.BODY, 0.5 - wide, 0.1, 0.5 + wide, 0.9, corner)
    sketch.box(Paint.PANEL, 0.53 - wide, 0.13, 0.68 - wide, 0.3, 0.03)
    for y in (0.175, 0.255):
        sketch.oval(Paint.LIGHT, 0.605 - wide, y, 0.026)
    detail(sketch, 0.55 - wide, 0.45 + wide, 0.4, 0.8)


APPAREL: Final[dict[str, Draw]] = {
    "dress": dress,
    "shirt": shirt,
    "coat": coat,
    "skirt": skirt,
    "scarf": scarf,
    "tote": tote,
    "backpack": backpack,
    "headphones": headphones,
    "speaker": speaker,
    "phone_case": phone_case,
}
