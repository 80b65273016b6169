"""Product photos: drawn, lit, made imperfect, and kept as JPEG files."""

import hashlib
import io
import json
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image, ImageFilter

from feature_repo.catalogs.marketplace import styles, textures
from feature_repo.catalogs.marketplace.apparel import APPAREL
from feature_repo.catalogs.marketplace.decoration import DECORATION
from feature_repo.catalogs.marketplace.furniture import FURNITURE, Draw
from feature_repo.catalogs.marketplace.sketch import OVERSAMPLING, SIDE, Paint, Sketch
from feature_repo.catalogs.marketplace.textures import Surface
from validation.whole_files import replacing

DRAWINGS: Final[dict[str, Draw]] = {**FURNITURE, **DECORATION, **APPAREL}
RENDERER: Final = "1"
"""Raised whenever a recipe would give other pixels; photos of another number are redone."""
MANIFEST: Final = "photos.json"
BATCH: Final = 256
WORKERS: Final = 4


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything a photo is made from: the same recipe gives the same bytes."""

    product: str
    style: int
    palette: int
    pattern: int
    material: int
    seed: int
    """Of what the factors leave open: proportions, light, noise, compression."""

    @property
    def digest(self) -> str:
        """Identifies the recipe and the renderer's version."""
        text = json.dumps([RENDERER, asdict(self)], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


def photo(recipe: Recipe) -> bytes:
    """One product photo as JPEG, SIDE pixels square."""
    rng = np.random.default_rng([recipe.seed, 101])
    sketch = _drawn(recipe, rng)
    surface = textures.backdrop(styles.PALETTES[recipe.palette], rng)
    surface = _shadowed(surface, sketch, strength=rng.uniform(0.12, 0.35))
    surface = _painted(surface, sketch, recipe, rng)
    surface = surface * rng.uniform(0.88, 1.08) + rng.uniform(-5, 5, (1, 1, 3))
    surface = surface + textures.noise(rng)[..., None] * rng.uniform(1.0, 6.0)
    image = Image.fromarray(np.clip(surface, 0, 255).astype(np.uint8))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.4, 1.0))))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=int(rng.integers(62, 93)))
    return buffer.getvalue()


def _drawn(recipe: Recipe, rng: np.random.Generator) -> Sketch:
    shift = (float(rng.normal(0, 0.02)), float(rng.normal(0, 0.015)))
    sketch = Sketch(
        styles.STYLES[recipe.style],
        zoom=float(rng.uniform(0.8, 0.98)),
        shift=shift,
        flip=bool(rng.random() < 0.5),
    )
    DRAWINGS[recipe.product](sketch, rng)
    return sketch


def _shadowed(surface: Surface, sketch: Sketch, *, strength: float) -> Surface:
    """A soft shadow under the lowest point."""
    left, right = sketch.spread
    rows, columns = np.ogrid[:SIDE, :SIDE]
    across = (columns / SIDE - (left + right) / 2) / max(0.05, (right - left) * 0.55)
    down = (rows / SIDE - min(sketch.floor, 0.97)) / 0.05
    shade = strength * np.exp(-2.0 * (across**2 + down**2))
    return np.asarray(surface * (1 - shade[..., None]), dtype=np.float32)


def _painted(surface: Surface, sketch: Sketch, recipe: Recipe, rng: np.random.Generator) -> Surface:
    """Every layer over the backdrop, each with a thin shade around it."""
    paints = _paints(recipe, rng)
    for paint, mask in sketch.layers:
        small = mask.reduce(OVERSAMPLING)
        around = small.filter(ImageFilter.BoxBlur(3))
        left, top, right, bottom = around.getbbox() or (0, 0, 0, 0)
        window = (slice(top, bottom), slice(left, right))
        share = np.asarray(small, np.float32)[window][..., None] / 255
        shade = np.asarray(around, np.float32)[window][..., None] / 255
        under = surface[window] * (1 - 0.35 * shade)
        over = np.broadcast_to(paints[paint], surface.shape)[window] * (0.8 + 0.22 * shade)
        surface[window] = under + (over - under) * share
    return surface


def _paints(recipe: Recipe, rng: np.random.Generator) -> dict[Paint, Surface]:
    """What each paint looks like on this product, lit from above."""
    palette, material = styles.PALETTES[recipe.palette], styles.MATERIALS[recipe.material]
    body, second, accent = textures.dyed(palette, material)
    light = np.linspace(rng.uniform(1.05, 1.15), rng.uniform(0.8, 0.92), SIDE, dtype=np.float32)
    relief = (textures.relief(material, rng) * light[:, None])[..., None]
    pattern = styles.PATTERNS[recipe.pattern].name
    frame = textures.colour(styles.STYLES[recipe.style].frame)
    return {
        Paint.BODY: textures.printed(pattern, (body, second, accent), rng) * relief,
        Paint.PANEL: body * 0.68 * relief,
        Paint.SECOND: second * light[:, None, None],
        Paint.ACCENT: accent * light[:, None, None],
        Paint.FRAME: frame * light[:, None, None],
        Paint.LIGHT: textures.colour((252, 248, 236)) * light[:, None, None],
        Paint.GLINT: textures.colour((214, 224, 232)) * light[:, None, None],
    }


def render(
    recipes: Mapping[str, Recipe],
    *,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Path]:
    """Write ``folder/ITEM_ID.jpg`` of every recipe; returns the absolute paths.

    A file that the manifest proves to hold its recipe's bytes stays untouched, so that a
    second run renders nothing and a run that was killed goes on where it stopped.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: (folder / f"{name}.jpg").absolute() for name in recipes}
    manifest = _read_manifest(folder)
    due = [name for name in recipes if not _stands(paths[name], recipes[name], manifest)]
    done = len(recipes) - len(due)
    with ThreadPoolExecutor(WORKERS) as pool:
        for start in range(0, len(due), BATCH):
            batch = due[start : start + BATCH]
            for name, data in zip(
                batch, pool.map(photo, [recipes[name] for name in batch]), strict=True
            ):
                replace_file(paths[name], data)
                manifest[paths[name].name] = [recipes[name].digest, _sha256(data)]
            text = json.dumps(manifest, sort_keys=True, indent=0)
            replace_file(folder / MANIFEST, text.encode())
            done += len(batch)
            if progress:
                progress(done, len(recipes))
    return paths


def _stands(path: Path, recipe: Recipe, manifest: Mapping[str, list[str]]) -> bool:
    """Whether the file is there, of this recipe, and unharmed."""
    known = manifest.get(path.name)
    if known is None or known[0] != recipe.digest or not path.is_file():
        return False
    return known[1] == _sha256(path.read_bytes())


def _read_manifest(folder: Path) -> dict[str, list[str]]:
    """Recipe and content digests by file name; empty where there is none that can be read."""
    try:
        manifest: dict[str, list[str]] = json.loads((folder / MANIFEST).read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return {}
    return manifest


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def replace_file(path: Path, data: bytes) -> None:
    """Write a file whole or not at all."""
    with replacing(path) as partial:
        partial.write_bytes(data)
