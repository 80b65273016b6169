"""The map from content to factors: exact where it can be, neutral where nothing is known."""

import numpy as np
import pytest

from coldstart_models.data.interactions import Interactions
from coldstart_models.data.shop_clock import ShopClock
from coldstart_models.data.traits import TRAITS
from coldstart_models.siamese import togetherness
from coldstart_models.siamese.inputs import TEXT, WORDS, ItemInputs
from coldstart_models.siamese.togetherness import (
    content_matrix,
    fit_map,
    fit_togetherness,
    neighbourhood,
)


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


def test_it_is_the_ridge_regression_with_the_stated_kernel_and_noise():
    inputs, others = inputs_of(0), inputs_of(1, 7)
    target, people = targets_of(inputs), np.arange(1, 61)
    fitted = fit_map(inputs, target, people)
    here, there = content_matrix(inputs), content_matrix(others)
    mean = here.mean(axis=0)
    variance = np.square(here - mean).sum(axis=1).mean()

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def kernel(rows):
        line = (rows - mean) @ (here - mean).T / variance
        return 0.5 * (line + neighbourhood(unit(rows), unit(here)))

    noise = togetherness.RIDGE + togetherness.SAMPLING / people
    gram, level = kernel(here), target.mean(axis=0)
    solved = np.linalg.solve(gram + np.diag(noise), target - level)
    expected = kernel(there) @ solved + level
    factors, popularity = fitted.head.predict(others)
    np.testing.assert_allclose(factors, unit(expected[:, :-1]), atol=2e-4)
    np.testing.assert_allclose(popularity, expected[:, -1], atol=2e-4)
    for left in (0, 7, 59):
        rest = np.delete(np.arange(60), left)
        around = gram[np.ix_(rest, rest)] + np.diag(noise[rest])
        alone = gram[left, rest] @ np.linalg.solve(around, target[rest] - level) + level
        np.testing.assert_allclose(fitted.left_out[left], alone, atol=1e-3)


def test_through_anchors_too_an_item_is_left_out_of_its_own_prediction(monkeypatch):
    monkeypatch.setattr(togetherness, "ANCHORS", 30)
    monkeypatch.setattr(togetherness, "BLOCK", 16)
    inputs, people = inputs_of(0), 1 + np.arange(60) % 7
    target = targets_of(inputs)
    fitted = fit_map(inputs, target, people)
    noise = togetherness.RIDGE + togetherness.SAMPLING / people
    anchored = np.sort(np.argsort(-people, kind="stable")[:30])
    whole = content_matrix(inputs)
    deviations = whole - whole.mean(axis=0)
    line = deviations @ deviations[anchored].T / np.square(deviations).sum(axis=1).mean()
    unit = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    features = 0.5 * (line + neighbourhood(unit, unit[anchored])).astype(np.float64)
    level = target.mean(axis=0)
    for left in (0, 13, 59):
        rest = np.delete(np.arange(60), left)
        weighted = features[rest].T / noise[rest]
        normal = features[anchored] + weighted @ features[rest]
        solved = np.linalg.solve(normal, weighted @ (target[rest] - level))
        alone = features[left] @ solved + level
        np.testing.assert_allclose(fitted.left_out[left], alone, atol=5e-3)


def two_crowds(*, loyal: int) -> tuple[Interactions, ItemInputs]:
    """40 items in two kinds that read alike within, and 60 people who each choose within one.

    The last item is of the first kind, and `loyal` people of the second chose it.
    """
    generator = np.random.default_rng(0)
    kind = np.arange(40) % 2
    kind[-1] = 0
    text = np.eye(2, 8, dtype=np.float32)[kind] + 0.05 * generator.normal(size=(40, 8))
    pairs = [
        (user, item)
        for user in range(60)
        for item in generator.choice(np.flatnonzero(kind[:-1] == user % 2), 8, replace=False)
    ]
    pairs += [(2 * person + 1, 39) for person in range(loyal)]
    users, items = (np.array(each) for each in zip(*pairs, strict=True))
    people = np.array([f"u{number:02}" for number in range(60)], object)
    traits = np.zeros((len(users), len(TRAITS)), np.float32)
    moments = np.arange(len(users))
    log = Interactions(people, 40, users, items, moments, traits, ShopClock.of(moments))
    return log, ItemInputs({TEXT: text.astype(np.float32)}, {TEXT: np.ones(40, bool)})


def test_an_item_of_few_people_stands_between_them_and_what_reads_like_it():
    def nearness(loyal: int) -> float:  # to what the people chose, over what reads alike
        log, inputs = two_crowds(loyal=loyal)
        factors = fit_togetherness(log, inputs, seed=0).factors
        np.testing.assert_allclose(np.linalg.norm(factors, axis=1), 1.0, atol=1e-5)
        alike, loved = factors[:38:2].mean(axis=0), factors[1:39:2].mean(axis=0)
        return float(factors[39] @ (loved - alike))

    assert nearness(1) < nearness(2) < 0 < nearness(10) < nearness(25)


def test_of_more_items_than_anchors_the_others_count_too(monkeypatch):
    inputs, others = inputs_of(0, 300), inputs_of(1, 20)
    target = targets_of(inputs)
    whole = fit_map(inputs, target, 1 + np.arange(300)).head
    monkeypatch.setattr(togetherness, "ANCHORS", 40)
    monkeypatch.setattr(togetherness, "BLOCK", 64)
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
    monkeypatch.setattr(togetherness, "ANCHORS", 40)
    head = fit_map(inputs, target, 1 + np.arange(300)).head
    too_little = -1.0
    monkeypatch.setattr(togetherness, "JITTERS", (too_little, *togetherness.JITTERS))
    again = fit_map(inputs, target, 1 + np.arange(300)).head
    for found, expected in zip(again.predict(others), head.predict(others), strict=True):
        np.testing.assert_array_equal(found, expected)
    monkeypatch.setattr(togetherness, "JITTERS", (too_little,))
    with pytest.raises(np.linalg.LinAlgError):
        fit_map(inputs, target, 1 + np.arange(300))


def test_a_missing_modality_says_nothing_in_the_line():
    inputs = inputs_of(0, without=(3, 4))
    mean = togetherness.content_mean(inputs)
    deviations = togetherness.centred(inputs, mean)
    assert not deviations[[3, 4], 5:].any()
    np.testing.assert_allclose(deviations[:, 5:].sum(axis=0), 0.0, atol=1e-4)
