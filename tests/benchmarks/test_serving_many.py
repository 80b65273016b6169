"""Very many listings are of the kinds of the shop that they are made of."""

from pathlib import Path

import numpy as np

from benchmarks.serving_many import blended

WIDTHS = {"photo": 24, "text": 40}


def test_a_listing_is_nearest_to_the_one_whose_place_it_has_and_as_long(tmp_path: Path) -> None:
    generator = np.random.default_rng(1)
    photos, texts = (generator.standard_normal((10, width)) for width in WIDTHS.values())
    texts[3] = 0.0  # it has no text
    shop = np.hstack([photos, texts, generator.standard_normal((10, 1))]).astype(np.float32)
    path = tmp_path / "vectors.f32"

    blended(shop, WIDTHS, count=45, path=path)

    many = np.fromfile(path, np.float32).reshape(45, shop.shape[1])
    own = np.arange(45) % 10
    for block in (slice(0, 24), slice(24, 64)):
        lengths = np.linalg.norm(many[:, block], axis=1)
        np.testing.assert_allclose(lengths, np.linalg.norm(shop[own, block], axis=1), rtol=1e-5)
    alike = many[:, :24] @ (photos / np.linalg.norm(photos, axis=1, keepdims=True)).T
    assert np.mean(alike.argmax(axis=1) == own) > 0.9
    assert not many[own == 3, 24:64].any()
