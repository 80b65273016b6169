"""The map from content to factors: exact where it can be, neutral where nothing is known."""

import numpy as np
import pytest

from coldstart_models.siamese import togetherness
from coldstart_models.siamese.inputs import TEXT, WORDS, ItemInputs
from coldstart_models.siamese.togetherness import content_matrix, fit_map, neighbourhood


def inputs_of(seed: int, count: int = 60, *, without: tuple[int, ...] = ()) -> ItemInputs:
    generator = np.random.default_rng(seed)
    values = {
        name: generator.normal(size=(count, width)).astype(np.float32)
        for name, width in ((TEXT, 5), (WORDS, 4))
    }
    present = {name: np.ones(count, bool) for name in values}
    values[WORDS][list(without)], present[WORDS][list(without)] = 0.0, False
    return ItemInputs(values, present)


def targets_of(inputs: ItemInputs) -> np.ndarray:
    content = content_matrix(inputs)
    return np.column_stack([content[:, :3] * 2 + 1, np.sin(content[:, 4])]).astype(np.float32)


def test_it_is_the_ridge_regression_with_the_stated_kernel():
    inputs, others = inputs_of(0), inputs_of(1, 7)
    target = targets_of(inputs)
    head = fit_map(inputs, target, np.ones(60, np.int64))
    here, there = content_matrix(inputs), content_matrix(others)
    mean = here.mean(axis=0)
    variance = np.square(here - mean).sum(axis=1).mean()

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def kernel(rows):
        line = (rows - mean) @ (here - mean).T / variance
        return 0.5 * (line + neighbourhood(unit(rows), unit(here)))

    solved = np.linalg.solve(
        kernel(here) + togetherness.RIDGE * np.eye(60), target - target.mean(axis=0)
    )
    expected = kernel(there) @ solved + target.mean(axis=0)
    factors, popularity = head.predict(others)
    np.testing.assert_allclose(factors, unit(expected[:, :-1]), atol=2e-4)
    np.testing.assert_allclose(popularity, expected[:, -1], atol=2e-4)


def test_of_more_items_than_anchors_the_others_count_too(monkeypatch):
    inputs, others = inputs_of(0, 300), inputs_of(1, 20)
    target = targets_of(inputs)
    whole = fit_map(inputs, target, np.arange(300))
    monkeypatch.setattr(togetherness, "ANCHORS", 40)
    monkeypatch.setattr(togetherness, "BLOCK", 64)
    thinned = fit_map(inputs, target, np.arange(300))
    assert len(thinned.anchors) == 40
    truth = targets_of(others)[:, :-1]
    alone = fit_map(inputs.take(np.arange(260, 300)), target[260:], np.arange(40))

    def error(head):
        rows = truth / np.linalg.norm(truth, axis=1, keepdims=True)
        return float(np.square(head.predict(others)[0] - rows).sum(axis=1).mean())

    assert error(thinned) < error(alone)
    assert error(thinned) == pytest.approx(error(whole), abs=0.02)


def test_anchors_that_rounding_makes_indefinite_are_solved_for(monkeypatch):
    inputs, others = inputs_of(0, 300), inputs_of(1, 20)
    target = targets_of(inputs)
    monkeypatch.setattr(togetherness, "ANCHORS", 40)
    head = fit_map(inputs, target, np.arange(300))
    too_little = -1.0
    monkeypatch.setattr(togetherness, "JITTERS", (too_little, *togetherness.JITTERS))
    again = fit_map(inputs, target, np.arange(300))
    for found, expected in zip(again.predict(others), head.predict(others), strict=True):
        np.testing.assert_array_equal(found, expected)
    monkeypatch.setattr(togetherness, "JITTERS", (too_little,))
    with pytest.raises(np.linalg.LinAlgError):
        fit_map(inputs, target, np.arange(300))


def test_a_missing_modality_says_nothing_in_the_line():
    inputs = inputs_of(0, without=(3, 4))
    mean = togetherness.content_mean(inputs)
    deviations = togetherness.centred(inputs, mean)
    assert not deviations[[3, 4], 5:].any()
    np.testing.assert_allclose(deviations[:, 5:].sum(axis=0), 0.0, atol=1e-4)
