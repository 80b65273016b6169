"""Surfaces: a pattern printed in three colours, and a material's relief over it."""

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from feature_repo.catalogs.marketplace.sketch import SIDE
from feature_repo.catalogs.marketplace.styles import Colour, Material, Palette

Field = npt.NDArray[Any]
"""(SIDE, SIDE) of floats."""
Surface = npt.NDArray[Any]
"""(SIDE, SIDE, 3) of floats, 0 to 255."""

_AXIS: Final = np.arange(SIDE, dtype=np.float32) / SIDE
_V, _U = np.meshgrid(_AXIS, _AXIS, indexing="ij")
_NOISE: Final[Field] = (
    np.random.default_rng(224).standard_normal((2 * SIDE, 2 * SIDE)).astype(np.float32)
)


def noise(rng: np.random.Generator) -> Field:
    """White noise, a random window of one fixed field (cheaper than drawing it anew)."""
    row, column = rng.integers(0, SIDE, 2)
    return _NOISE[row : row + SIDE, column : column + SIDE]


def colour(value: Colour) -> Surface:
    """(1, 1, 3) to broadcast."""
    return np.array(value, np.float32).reshape(1, 1, 3)


def dyed(palette: Palette, material: Material) -> tuple[Surface, Surface, Surface]:
    """The palette's body, second and accent colours as they look on the material."""
    share, tint = material.tint_share, colour(material.tint)
    return (
        (1 - share) * colour(palette.body) + share * tint,
        (1 - share / 2) * colour(palette.second) + share / 2 * tint,
        colour(palette.accent),
    )


def _tiled(value: Field, size: float) -> Field:
    """Coordinates inside square tiles, from -0.5 to 0.5."""
    scaled = value / size
    return np.asarray(scaled - np.floor(scaled) - 0.5, dtype=np.float32)


def _stripes(u: Field, v: Field, size: float) -> tuple[Field, Field]:
    wave = _tiled(u, size)
    return _mask(np.abs(wave) < 0.22), _mask(np.abs(np.abs(wave) - 0.38) < 0.04)


def _checks(u: Field, v: Field, size: float) -> tuple[Field, Field]:
    across, down = _tiled(u, size * 1.3), _tiled(v, size * 1.3)
    second = (_mask(np.abs(across) < 0.25) + _mask(np.abs(down) < 0.25)) / 2
    return second, _mask((np.abs(across) < 0.04) | (np.abs(down) < 0.04))


def _dots(u: Field, v: Field, size: float) -> tuple[Field, Field]:
    row = np.floor(v / size)
    across, down = _tiled(u + (row % 2) * size / 2, size), _tiled(v, size)
    radius = np.hypot(across, down)
    return _mask(radius < 0.27), _mask(radius < 0.0)


def _floral(u: Field, v: Field, size: float) -> tuple[Field, Field]:
    tile = size * 1.7
    row = np.floor(v / tile)
    across, down = _tiled(u + (row % 2) * tile / 2, tile), _tiled(v, tile)
    radius, angle = np.hypot(across, down), np.arctan2(down, across)
    petals = _mask(radius < 0.27 + 0.13 * np.cos(5 * angle + row))
    stem = np.hypot(_tiled(u + (row % 2 + 1) * tile / 2, tile) * 2, down)
    return petals, _mask((radius < 0.1) | (stem < 0.14))


def _geometric(u: Field, v: Field, size: float) -> tuple[Field, Field]:
    across, down = _tiled(u, size * 1.4), _tiled(v, size * 1.8)
    diamond = np.abs(across) + np.abs(down)
    return _mask((diamond < 0.5) & (across < 0)), _mask((diamond < 0.5) & (down * across > 0))


def _zigzag(u: Field, v: Field, size: float) -> tuple[Field, Field]:
    bent = v + np.abs(_tiled(u, size * 1.5)) * size * 1.2
    wave = _tiled(bent, size * 1.5)
    return _mask(np.abs(wave) < 0.18), _mask(np.abs(np.abs(wave) - 0.36) < 0.07)


def _waves(u: Field, v: Field, size: float) -> tuple[Field, Field]:
    tile = size * 1.2
    row = np.floor(v / (tile / 2))
    across, down = _tiled(u + (row % 2) * tile / 2, tile), _tiled(v, tile / 2) / 2 + 0.25
    radius = np.hypot(across, down)
    return _mask((radius > 0.32) & (radius < 0.46)), _mask(radius < 0.13)


def _mask(value: npt.NDArray[np.bool_]) -> Field:
    return value.astype(np.float32)


_PATTERNS: Final[dict[str, Callable[[Field, Field, float], tuple[Field, Field]]]] = {
    "stripes": _stripes,
    "checks": _checks,
    "dots": _dots,
    "floral": _floral,
    "geometric": _geometric,
    "zigzag": _zigzag,
    "waves": _waves,
}


def printed(
    pattern: str, colours: tuple[Surface, Surface, Surface], rng: np.random.Generator
) -> Surface:
    """The body colour with the pattern in the second and the accent colour."""
    body, second, accent = colours
    if pattern == "plain":
        return np.broadcast_to(body, (SIDE, SIDE, 3)).astype(np.float32)
    size, turn = rng.uniform(0.065, 0.1), rng.normal(0, 0.06)
    u = np.cos(turn) * _U - np.sin(turn) * _V + rng.uniform()
    v = np.sin(turn) * _U + np.cos(turn) * _V + rng.uniform()
    share, spots = _PATTERNS[pattern](u.astype("f4"), v.astype("f4"), float(size))
    surface = body + (second - body) * share[..., None]
    return np.asarray(surface + (accent - surface) * spots[..., None], dtype=np.float32)


def _grain(rough: Field) -> Field:
    rows = rough[:, :1] * 0.05
    return np.asarray(rows + 0.05 * np.sin(60 * _V + 3 * np.sin(5 * _U + rough[0, 0])), "f4")


def _weave(rough: Field) -> Field:
    return np.asarray(0.07 * np.sin(300 * _U) * np.sin(300 * _V) + 0.04 * rough, "f4")


def _sheen(rough: Field) -> Field:
    return np.asarray(0.16 * np.sin(9 * (_U + 0.6 * _V) + rough[0, 0]) + 0.015 * rough, "f4")


def _cane(rough: Field) -> Field:
    holes = np.hypot(_tiled(_U + _V, 0.05), _tiled(_U - _V, 0.05)) < 0.24
    return np.asarray(-0.42 * holes + 0.03 * rough, "f4")


def _glossy(rough: Field) -> Field:
    spot = np.exp(-(((_U - 0.4) / 0.06) ** 2) - ((_V - 0.55) / 0.22) ** 2)
    return np.asarray(0.55 * spot - 0.12 * (_U - 0.5), "f4")


def _knit(rough: Field) -> Field:
    rows = _tiled(_V + np.abs(_tiled(_U, 0.035)) * 0.03, 0.028)
    return np.asarray(-0.26 * (np.abs(rows) > 0.3) + 0.05 * rough, "f4")


def _smooth(rough: Field) -> Field:
    return np.asarray(0.05 * np.sin(7 * _U + rough[0, 0]) * np.sin(6 * _V) + 0.02 * rough, "f4")


_RELIEFS: Final[dict[str, Callable[[Field], Field]]] = {
    "grain": _grain,
    "weave": _weave,
    "sheen": _sheen,
    "cane": _cane,
    "glossy": _glossy,
    "knit": _knit,
    "smooth": _smooth,
}


def relief(material: Material, rng: np.random.Generator) -> Field:
    """Brightness around 1 of the material under light."""
    return 1 + _RELIEFS[material.texture](noise(rng))


def backdrop(palette: Palette, rng: np.random.Generator) -> Surface:
    """A studio wall and floor in the palette's or another quiet tone, lit from one side."""
    base = colour(palette.backdrop) if rng.random() < 0.35 else colour(_WALLS[rng.integers(5)])
    light = 1 + rng.uniform(-0.12, 0.12) * (_U - 0.5) + rng.uniform(-0.12, 0.02) * (_V - 0.5)
    floor = rng.uniform(0.7, 0.85)
    if rng.random() < 0.6:
        light = light - rng.uniform(0.03, 0.1) * (floor < _V)
    return np.asarray(base * light[..., None], dtype=np.float32)


_WALLS: Final[tuple[Colour, ...]] = (
    (250, 250, 250),
    (242, 242, 240),
    (236, 230, 222),
    (226, 230, 234),
    (214, 208, 200),
)
