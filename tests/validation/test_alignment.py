import numpy as np
import pytest

from validation.alignment import ENOUGH, FALSE_WARNINGS, Alignment, FloatMatrix, align


def pairs(count: int, *, seed: int) -> tuple[FloatMatrix, FloatMatrix]:
    """Photos and texts of what one of twelve kinds of things look like and are called."""
    world, generator = np.random.default_rng(0), np.random.default_rng(seed)
    looks, names = world.normal(0, 1, (12, 40)), world.normal(0, 1, (12, 16))
    kinds = generator.integers(0, 12, count)
    photos = looks[kinds] + generator.normal(0, 0.6, (count, 40))
    texts = names[kinds] + generator.normal(0, 0.6, (count, 16))
    return photos.astype(np.float32), texts.astype(np.float32)


@pytest.fixture
def learned() -> Alignment:
    found = align(*pairs(600, seed=1))
    assert found is not None
    return found


def test_texts_of_other_things_agree_less_and_are_warned_of(learned: Alignment) -> None:
    photos, texts = pairs(300, seed=2)
    right = learned.agreement(photos, texts)
    wrong = learned.agreement(photos, np.roll(texts, 1, axis=0))
    assert (right < learned.threshold).mean() <= 3 * FALSE_WARNINGS
    assert (wrong < learned.threshold).mean() > 0.6
    assert learned.recall == pytest.approx((wrong < learned.threshold).mean(), abs=0.12)


def test_less_agreement_is_more_confidence_and_a_high_one_is_right(learned: Alignment) -> None:
    sure = learned.confidence(np.array([-1.0, learned.threshold, 0.5, 1.0]))
    assert sure.tolist() == sorted(sure, reverse=True)
    assert sure[0] > 0.95
    assert sure[-1] < 0.05
    photos, texts = pairs(2_000, seed=3)
    wrong = np.arange(2_000) % 2 == 0
    texts[wrong] = np.roll(texts[wrong], 1, axis=0)
    told = learned.confidence(learned.agreement(photos, texts))
    assert wrong[told > 0.9].mean() > 0.85
    assert wrong[told < 0.1].mean() < 0.25


def test_too_few_listings_teach_nothing() -> None:
    assert align(*pairs(ENOUGH - 1, seed=1)) is None
