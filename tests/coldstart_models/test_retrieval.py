"""What is counted as found, on vectors whose neighbours are known."""

import numpy as np
import pytest

from coldstart_models.retrieval import category_labels, same_category, title_to_photo


def test_a_label_is_the_deepest_level_with_five_items():
    paths = ["Home > Lamps > Floor"] * 5 + ["Home > Lamps > Desk"] * 4 + ["Garden", None, ""]
    labels = category_labels(paths)
    assert labels[:5] == [("Home", "Lamps", "Floor")] * 5
    assert labels[5:9] == [("Home", "Lamps")] * 4
    assert labels[9:] == [None, None, None]


def clusters(sizes):
    """Items in tight bundles, one a category, far from each other."""
    kinds = np.repeat(np.arange(len(sizes)), sizes)
    generator = np.random.default_rng(0)
    vectors = np.eye(len(sizes))[kinds] + generator.normal(0, 0.01, (len(kinds), len(sizes)))
    return vectors.astype(np.float32), [f"Home > kind {kind}" for kind in kinds]


def test_bundles_of_one_category_are_found_whole_however_small():
    vectors, categories = clusters([5, 30])
    found = same_category(vectors, categories)
    assert found.shape == (35, 2)
    np.testing.assert_array_equal(found, 1.0)


def test_an_item_in_another_bundle_finds_none_of_its_own():
    vectors, categories = clusters([6, 6])
    categories[0] = "Home > kind 1"
    found = same_category(vectors, categories)
    assert found[0].tolist() == [0.0, pytest.approx(1 / 6)]
    assert found[6:, 0].tolist() == [1.0] * 6


def test_items_below_the_label_count_and_unlabelled_ones_do_not_ask():
    vectors, categories = clusters([5, 3])
    found = same_category(vectors, [*categories[:5], "Away > x", "Away > y", None])
    assert len(found) == 5
    assert same_category(vectors[:3], categories[:3]).shape == (0, 2)
    assert same_category(np.zeros((0, 4), np.float32), []).shape == (0, 2)


def test_in_a_shared_space_each_title_finds_the_photo_that_is_like_it():
    photos = np.random.default_rng(0).normal(size=(50, 20)).astype(np.float32)
    hits = title_to_photo(photos, 3 * photos, shared=True)
    np.testing.assert_array_equal(hits, 1.0)
    assert title_to_photo(photos, -photos, shared=True)[:, 0].sum() == 0


def test_across_spaces_the_map_is_learned_on_other_pairs_than_it_is_asked_about():
    generator = np.random.default_rng(0)
    photos = generator.normal(size=(400, 8)).astype(np.float32)
    turned = photos @ generator.normal(size=(8, 8)).astype(np.float32) + 5
    assert title_to_photo(photos, turned, shared=False)[:, 0].mean() > 0.95
    noise = generator.normal(size=(400, 300)).astype(np.float32)
    by_chance = title_to_photo(photos, noise, shared=False)
    assert by_chance[:, 0].mean() < 0.05
    assert by_chance[:, 1].mean() < 0.25
