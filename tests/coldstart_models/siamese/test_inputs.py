"""What the item tower reads keeps what few listings share."""

import numpy as np

from coldstart_models.siamese import inputs
from coldstart_models.siamese.inputs import ATTRIBUTES, Featurizer, Projection
from tests.coldstart_models.checkerboard import titled

BRANDS = 300


def test_of_many_brands_each_is_told():
    count = 2 * BRANDS
    catalogue = titled(
        {f"i{number:03}": "oak chair" for number in range(count)},
        category=["Home > Chairs" if number % 3 else "Home > Stools" for number in range(count)],
        brand=[f"Maker {number % BRANDS}" for number in range(count)],
    )
    featurizer = Featurizer.fit(catalogue, np.ones(count, bool), seed=0)
    listed = featurizer(catalogue).values[ATTRIBUTES]
    alike = listed @ listed.T
    kind = np.arange(count) % 3 > 0
    maker = np.arange(count) % BRANDS
    same_kind, same_maker = kind[:, None] == kind, maker[:, None] == maker
    assert alike[same_kind & same_maker].min() > alike[same_kind & ~same_maker].max() + 0.2
    assert alike[same_kind & ~same_maker].min() > alike[~same_kind & ~same_maker].max() + 0.02


def test_of_very_many_listings_axes_are_found_on_drawn_ones(monkeypatch):
    generator = np.random.default_rng(0)
    traits = generator.normal(size=(500, 4)) @ generator.normal(size=(4, 12))
    whole = Projection.fit(np.asarray(traits, np.float32), width=4, seed=0)
    monkeypatch.setattr(inputs, "TOLD_ON", 60)
    drawn = Projection.fit(np.asarray(traits, np.float32), width=4, seed=0)
    np.testing.assert_allclose(drawn.mean, whole.mean)
    spanned = np.linalg.svd(whole.axes.T @ drawn.axes, compute_uv=False)
    np.testing.assert_allclose(spanned, 1.0, atol=1e-4)  # what four traits span, sixty tell
    assert not np.allclose(drawn.axes, whole.axes, atol=1e-3)
