"""A drawing in the making: parts in painter's order, on a unit square."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Final

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from feature_repo.catalogs.marketplace.styles import Style

SIDE: Final = 224
"""Pixels of a finished photo's side."""
OVERSAMPLING: Final = 2
Point = tuple[float, float]


class Paint(StrEnum):
    """What a part is covered with."""

    BODY = "body"
    """The main material with its pattern."""
    PANEL = "panel"
    """The main material, unpatterned and darker."""
    SECOND = "second"
    ACCENT = "accent"
    FRAME = "frame"
    """The style's hardware."""
    LIGHT = "light"
    """A lit bulb, white linen, a mirror."""
    GLINT = "glint"


class Sketch:
    """Parts drawn so far. Coordinates run from (0, 0) top left to (1, 1) bottom right."""

    def __init__(self, style: Style, *, zoom: float, shift: Point, flip: bool) -> None:
        self.style = style
        self.layers: list[tuple[Paint, Image.Image]] = []
        self.floor = 0.0
        """Lowest point drawn, where the shadow falls."""
        self.spread = (1.0, 0.0)
        """Leftmost and rightmost point drawn."""
        self._zoom, self._shift, self._flip = zoom, shift, flip
        self._sealed = False

    def _canvas(self, paint: Paint) -> ImageDraw.ImageDraw:
        """The layer on top if it has this paint and is open, else a new one."""
        if self._sealed or not self.layers or self.layers[-1][0] is not paint:
            self._sealed = False
            side = SIDE * OVERSAMPLING
            self.layers.append((paint, Image.new("L", (side, side), 0)))
        return ImageDraw.Draw(self.layers[-1][1])

    def seal(self) -> None:
        """Whatever is drawn next starts a layer of its own."""
        self._sealed = True

    def trim(self, start: int) -> None:
        """Cut the layers from number `start` on to what lies on a body below them."""
        bodies = [mask for paint, mask in self.layers[:start] if paint is Paint.BODY]
        if not bodies:
            return
        body = bodies[0]
        for mask in bodies[1:]:
            body = ImageChops.lighter(body, mask)
        for index in range(start, len(self.layers)):
            paint, mask = self.layers[index]
            self.layers[index] = (paint, ImageChops.darker(mask, body))

    def _placed(self, points: Sequence[Point]) -> list[Point]:
        placed = []
        for x, y in points:
            across = 1 - x if self._flip else x
            x_at = 0.5 + (across - 0.5) * self._zoom + self._shift[0]
            y_at = 0.5 + (y - 0.5) * self._zoom + self._shift[1]
            self.floor = max(self.floor, y_at)
            self.spread = (min(self.spread[0], x_at), max(self.spread[1], x_at))
            placed.append((x_at * SIDE * OVERSAMPLING, y_at * SIDE * OVERSAMPLING))
        return placed

    def _corners(self, left: float, top: float, right: float, bottom: float) -> list[float]:
        (x0, y0), (x1, y1) = self._placed([(left, top), (right, bottom)])
        return [min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)]

    def box(
        self, paint: Paint, left: float, top: float, right: float, bottom: float, r: float = 0.0
    ) -> None:
        """A rectangle with corners of radius `r`."""
        corners = self._corners(left, top, right, bottom)
        radius = min(r, (right - left) / 2, (bottom - top) / 2) * self._zoom
        self._canvas(paint).rounded_rectangle(
            corners, radius=radius * SIDE * OVERSAMPLING, fill=255
        )

    def oval(self, paint: Paint, x: float, y: float, rx: float, ry: float | None = None) -> None:
        """An ellipse around (x, y)."""
        ry = rx if ry is None else ry
        self._canvas(paint).ellipse(self._corners(x - rx, y - ry, x + rx, y + ry), fill=255)

    def shape(self, paint: Paint, points: Sequence[Point]) -> None:
        """A filled polygon."""
        self._canvas(paint).polygon(self._placed(points), fill=255)

    def line(self, paint: Paint, points: Sequence[Point], width: float) -> None:
        """A polyline with round joints."""
        pixels = max(1, round(width * self._zoom * SIDE * OVERSAMPLING))
        self._canvas(paint).line(self._placed(points), fill=255, width=pixels, joint="curve")

    def arc(
        self, paint: Paint, x: float, y: float, rx: float, ry: float, span: Point, width: float
    ) -> None:
        """Part of an ellipse's rim, clockwise from `span[0]` to `span[1]` degrees (0 is right)."""
        start, end = np.radians(span)
        angles = np.linspace(start, end, 24)
        self.line(paint, [(x + rx * np.cos(a), y + ry * np.sin(a)) for a in angles], width)

    def profile(self, paint: Paint, x: float, outline: Sequence[Point]) -> None:
        """A body of revolution: `outline` holds (half width, y) from top to bottom."""
        heights = [y for _, y in outline]
        smooth = np.linspace(heights[0], heights[-1], 40)
        widths = _smooth(smooth, heights, [half for half, _ in outline])
        right = [(x + w, y) for w, y in zip(widths, smooth, strict=True)]
        left = [(x - w, y) for w, y in zip(widths, smooth, strict=True)]
        self.shape(paint, right + left[::-1])


def _smooth(at: np.ndarray, heights: list[float], widths: list[float]) -> list[float]:
    """Cosine interpolation, so that a profile has no corners."""
    index = np.clip(np.searchsorted(heights, at, side="right") - 1, 0, len(heights) - 2)
    low, high = np.asarray(heights)[index], np.asarray(heights)[index + 1]
    share = (1 - np.cos(np.pi * np.clip((at - low) / (high - low), 0, 1))) / 2
    values = np.asarray(widths)
    return [float(w) for w in values[index] * (1 - share) + values[index + 1] * share]
