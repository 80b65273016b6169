"""What is counted as found, on vectors whose neighbours are known."""

import numpy as np
import pytest

from coldstart_models.domain.objectives import mutual_neighbours
from coldstart_models.retrieval import (
    category_labels,
    likeness_agreement,
    nearest_others,
    own_ranks,
    same_category,
    title_to_photo,
    unit,
)


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


def numbers(rows, width, *, seed=0):
    """Small whole ones, of which products are exact and some are alike."""
    return np.random.default_rng(seed).integers(-3, 4, (rows, width)).astype(np.float32)


def test_a_few_rows_at_a_time_find_what_all_at_once_do(monkeypatch):
    one, two = numbers(50, 6), numbers(50, 6, seed=1)
    products = one @ one.T
    np.fill_diagonal(products, -np.inf)
    nearest = np.argsort(-products, axis=1, kind="stable")[:, :7]
    similarity = unit(one) @ unit(two).T
    ranks = (~(similarity < np.diag(similarity)[:, None])).sum(axis=1) - 1
    for block in (1_024, 7):
        monkeypatch.setattr("coldstart_models.retrieval.BLOCK", block)
        np.testing.assert_array_equal(nearest_others(one, 7), nearest)
        np.testing.assert_array_equal(own_ranks(one, two), ranks)
    assert nearest_others(one[:3], 7)[:, -1].tolist() == [0, 1, 2]
    assert nearest_others(one[:0], 7).shape == (0, 0)
    assert own_ranks(one[:0], two[:0]).shape == (0,)


@pytest.mark.parametrize("count", [3, 60])
def test_neighbours_are_mutual_however_few_rows_are_held(monkeypatch, count):
    vectors, rows = numbers(count, 5), np.arange(count) * 2 + 1
    centred = unit(vectors - vectors.mean(axis=0))
    similarity = centred @ centred.T
    np.fill_diagonal(similarity, -np.inf)
    chosen = np.zeros(similarity.shape, bool)
    nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :5]
    np.put_along_axis(chosen, nearest, True, axis=1)
    both = chosen & chosen.T
    expected = {int(row): rows[both[place]].tolist() for place, row in enumerate(rows)}
    for block in (1_024, 7):
        monkeypatch.setattr("coldstart_models.retrieval.BLOCK", block)
        found = mutual_neighbours(vectors, rows)
        assert {row: found[row].tolist() if row in found else [] for row in expected} == expected


def test_agreement_is_the_correlation_of_all_pairs_likenesses():
    one, two = unit(numbers(40, 6)), unit(numbers(40, 9, seed=1))
    two[:, :6] += one  # of unlike widths, and alike in part
    pairs = np.triu_indices(40, k=1)
    expected = np.corrcoef((one @ one.T)[pairs], (two @ two.T)[pairs])[0, 1]
    assert 0.1 < expected < 0.9
    assert likeness_agreement(one, two) == pytest.approx(expected, abs=1e-6)
    assert likeness_agreement(one, one) == pytest.approx(1.0)
    assert np.isnan(likeness_agreement(one[:2], two[:2]))
