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


def test_a_size_of_one_letter_and_a_category_of_one_sign_are_words():
    catalogue = titled(
        {f"i{number:02}": "chair" for number in range(12)},
        category=["灯", "椅", "床"] * 4,
        attributes=[f'{{"size": "{size}"}}' for size in "SML" for _ in range(4)],
    )
    featurizer = Featurizer.fit(catalogue, np.ones(12, bool), seed=0)
    listed = featurizer(catalogue).values[ATTRIBUTES]
    alike = listed @ listed.T
    kind, size = np.arange(12) % 3, np.arange(12) // 4
    same_kind, same_size = kind[:, None] == kind, size[:, None] == size
    assert alike[same_kind & same_size].min() > alike[same_kind ^ same_size].max() + 0.2
    assert alike[same_kind ^ same_size].min() > alike[~same_kind & ~same_size].max() + 0.2


def test_a_price_beyond_all_others_is_known_to_be():
    narrow = (float(np.log(10.0)), float(np.log(10.0)) + 1e-3)
    cheap, low, high, dear, unknown = inputs.price_levels(
        np.array([0.01, 10.0, 10.01, 5_000.0, np.nan]), narrow
    )
    np.testing.assert_allclose([np.linalg.norm(one) for one in (cheap, low, high, dear)], 1.0)
    assert cheap @ low > cheap @ high
    assert dear @ high > dear @ low
    assert cheap @ dear < 0.1
    assert not unknown.any()
