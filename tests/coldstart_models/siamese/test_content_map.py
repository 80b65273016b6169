"""The map from content to factors: exact where it can be, neutral where nothing is known."""

import numpy as np
import pytest

from coldstart_models.siamese import content_map
from coldstart_models.siamese.content_map import content_matrix, fit_map, neighbourhood
from coldstart_models.siamese.inputs import TEXT, WORDS, ItemInputs, unit_rows


def inputs_of(seed: int, count: int = 60, *, without: tuple[int, ...] = ()) -> ItemInputs:
    generator = np.random.default_rng(seed)
    values = {
        name: generator.normal(size=(count, width)).astype(np.float32)
        for name, width in ((TEXT, 5), (WORDS, 4))
    }
    present = {name: np.ones(count, bool) for name in values}
    values[WORDS][list(without)], present[WORDS][list(without)] = 0.0, False
    return ItemInputs(values, present)


def unit(inputs: ItemInputs) -> np.ndarray:
    return unit_rows(content_matrix(inputs))


def targets_of(inputs: ItemInputs) -> np.ndarray:
    content = content_matrix(inputs)
    return np.column_stack([content[:, :3] * 2 + 1, np.sin(content[:, 4])]).astype(np.float32)


LACKING = pytest.mark.parametrize("without", [(), (3, 4, 58, 59)], ids=["whole", "some lack words"])


@LACKING
def test_it_is_the_ridge_regression_with_the_stated_kernel_and_noise(without):
    inputs, others = inputs_of(0, without=without), inputs_of(1, 7, without=without[:1])
    target, people = targets_of(inputs), np.arange(1, 61)
    fitted = fit_map(inputs, target, people)
    mean = content_map.content_mean(inputs)
    variance = np.square(content_map.centred(inputs, mean)).sum(axis=1).mean()

    def kernel(rows):
        line = content_map.centred(rows, mean) @ content_map.centred(inputs, mean).T / variance
        return 0.5 * (line + neighbourhood(unit(rows), unit(inputs)))

    noise = content_map.RIDGE + content_map.SAMPLING / people
    gram, level = kernel(inputs), target.mean(axis=0)
    solved = np.linalg.solve(gram + np.diag(noise), target - level)
    expected = kernel(others) @ solved + level
    factors, popularity = fitted.head.predict(others)
    np.testing.assert_allclose(factors, unit_rows(expected[:, :-1]), atol=2e-4)
    np.testing.assert_allclose(popularity, expected[:, -1], atol=2e-4)
    np.testing.assert_allclose(fitted.predicted, gram @ solved + level, atol=5e-4)
    for left in (0, 3, 59):
        rest = np.delete(np.arange(60), left)
        around = gram[np.ix_(rest, rest)] + np.diag(noise[rest])
        alone = gram[left, rest] @ np.linalg.solve(around, target[rest] - level) + level
        np.testing.assert_allclose(fitted.left_out[left], alone, atol=1e-3)


@LACKING
def test_through_anchors_too_an_item_is_left_out_of_its_own_prediction(monkeypatch, without):
    monkeypatch.setattr(content_map, "ANCHORS", 30)
    monkeypatch.setattr(content_map, "BLOCK", 16)
    inputs, people = inputs_of(0, without=without), 1 + np.arange(60) % 7
    target = targets_of(inputs)
    fitted = fit_map(inputs, target, people)
    noise = content_map.RIDGE + content_map.SAMPLING / people
    anchored = np.sort(np.argsort(-people, kind="stable")[:30])
    deviations = content_map.centred(inputs, content_map.content_mean(inputs))
    line = deviations @ deviations[anchored].T / np.square(deviations).sum(axis=1).mean()
    near = neighbourhood(unit(inputs), unit(inputs)[anchored])
    features = 0.5 * (line + near).astype(np.float64)
    level = target.mean(axis=0)

    def solved(rows):
        weighted = features[rows].T / noise[rows]
        normal = features[anchored] + weighted @ features[rows]
        return np.linalg.solve(normal, weighted @ (target[rows] - level))

    everyone = features @ solved(np.arange(60)) + level
    np.testing.assert_allclose(fitted.predicted, everyone, atol=5e-3)
    for left in (0, 13, 59):
        alone = features[left] @ solved(np.delete(np.arange(60), left)) + level
        np.testing.assert_allclose(fitted.left_out[left], alone, atol=5e-3)


def test_of_more_items_than_anchors_the_others_count_too(monkeypatch):
    inputs, others = inputs_of(0, 300), inputs_of(1, 20)
    target = targets_of(inputs)
    whole = fit_map(inputs, target, 1 + np.arange(300)).head
    monkeypatch.setattr(content_map, "ANCHORS", 40)
    monkeypatch.setattr(content_map, "BLOCK", 64)
    thinned = fit_map(inputs, target, 1 + np.arange(300)).head
    assert len(thinned.anchors) == 40
    truth = targets_of(others)[:, :-1]
    alone = fit_map(inputs.take(np.arange(260, 300)), target[260:], 1 + np.arange(40)).head

    def error(head):
        rows = truth / np.linalg.norm(truth, axis=1, keepdims=True)
        return float(np.square(head.predict(others)[0] - rows).sum(axis=1).mean())

    assert error(thinned) < error(alone)
    assert error(thinned) == pytest.approx(error(whole), abs=0.02)


def test_anchors_that_rounding_makes_indefinite_are_solved_for(monkeypatch):
    inputs, others = inputs_of(0, 300), inputs_of(1, 20)
    target = targets_of(inputs)
    monkeypatch.setattr(content_map, "ANCHORS", 40)
    head = fit_map(inputs, target, 1 + np.arange(300)).head
    too_little = -1.0
    monkeypatch.setattr(content_map, "JITTERS", (too_little, *content_map.JITTERS))
    again = fit_map(inputs, target, 1 + np.arange(300)).head
    for found, expected in zip(again.predict(others), head.predict(others), strict=True):
        np.testing.assert_array_equal(found, expected)
    monkeypatch.setattr(content_map, "JITTERS", (too_little,))
    with pytest.raises(np.linalg.LinAlgError):
        fit_map(inputs, target, 1 + np.arange(300))


def test_a_missing_modality_says_nothing_in_the_line():
    inputs = inputs_of(0, without=(3, 4))
    mean = content_map.content_mean(inputs)
    deviations = content_map.centred(inputs, mean)
    assert not deviations[[3, 4], 5:].any()
    np.testing.assert_allclose(deviations[:, 5:].sum(axis=0), 0.0, atol=1e-4)
