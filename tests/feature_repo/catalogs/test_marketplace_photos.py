"""Rendered photos: one recipe, one file; the factors show in the pixels."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feature_repo.catalogs.marketplace import photos
from feature_repo.catalogs.marketplace.photos import DRAWINGS, MANIFEST, Recipe, photo, render
from feature_repo.catalogs.marketplace.products import PRODUCTS
from feature_repo.catalogs.marketplace.styles import PALETTES

SOFA = Recipe("sofa", style=0, palette=3, pattern=0, material=4, seed=7)


def pixels(recipe: Recipe) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(photo(recipe))), dtype=np.float64)


@pytest.mark.parametrize("product", sorted(DRAWINGS))
def test_every_product_is_drawn_in_every_style(product: str) -> None:
    for style in range(6):
        image = Image.open(io.BytesIO(photo(replace(SOFA, product=product, style=style))))
        image.load()
        assert (image.format, image.size, image.mode) == ("JPEG", (224, 224), "RGB")
        assert np.asarray(image).std() > 8


def test_every_product_has_a_drawing() -> None:
    assert {product.name for product in PRODUCTS} == set(DRAWINGS)


def test_a_recipe_gives_the_same_bytes_and_every_factor_changes_them() -> None:
    assert photo(SOFA) == photo(SOFA)
    changes = ({"style": 3}, {"palette": 5}, {"pattern": 2}, {"material": 5}, {"seed": 8})
    others = [photo(replace(SOFA, **change)) for change in changes]
    assert len({photo(SOFA), *others}) == len(changes) + 1


def test_the_middle_of_a_plain_product_has_its_palette_s_hue() -> None:
    """Among all palettes the body's colour in the photo is nearest to its own."""
    bodies = np.array([palette.body for palette in PALETTES], float)
    found = []
    for palette in range(len(PALETTES)):
        body = pixels(replace(SOFA, product="cushion", palette=palette))[80:150, 80:150]
        colour = np.median(body.reshape(-1, 3), axis=0)
        found.append(int(np.argmin(np.linalg.norm(bodies - colour, axis=1))))
    assert sum(at == palette for palette, at in enumerate(found)) >= 7


def test_a_second_run_renders_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipes = {"a": SOFA, "b": replace(SOFA, seed=8)}
    paths = render(recipes, folder=tmp_path)
    before = {path: path.stat().st_mtime_ns for path in paths.values()}

    def refuse(recipe: Recipe) -> bytes:
        raise AssertionError(recipe)

    monkeypatch.setattr(photos, "photo", refuse)
    assert render(recipes, folder=tmp_path) == paths
    assert {path: path.stat().st_mtime_ns for path in paths.values()} == before


def test_a_harmed_absent_or_other_photo_is_rendered_again(tmp_path: Path) -> None:
    recipes = {name: replace(SOFA, seed=seed) for seed, name in enumerate("abc")}
    paths = render(recipes, folder=tmp_path)
    paths["a"].write_bytes(b"harmed")
    paths["b"].unlink()
    recipes["c"] = replace(SOFA, seed=99)
    render(recipes, folder=tmp_path)
    assert {name: path.read_bytes() for name, path in paths.items()} == {
        name: photo(recipe) for name, recipe in recipes.items()
    }


def test_a_broken_manifest_costs_time_and_nothing_else(tmp_path: Path) -> None:
    paths = render({"a": SOFA}, folder=tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    render({"a": SOFA}, folder=tmp_path)
    assert paths["a"].read_bytes() == photo(SOFA)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.jpg", MANIFEST]


def test_a_killed_run_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {name: replace(SOFA, seed=seed) for seed, name in enumerate("abcd")}
    monkeypatch.setattr(photos, "BATCH", 2)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        render(recipes, folder=tmp_path, progress=stop)
    rendered: list[Recipe] = []
    monkeypatch.setattr(photos, "photo", lambda recipe: rendered.append(recipe) or photo(recipe))
    render(recipes, folder=tmp_path)
    assert rendered == [recipes["c"], recipes["d"]]
