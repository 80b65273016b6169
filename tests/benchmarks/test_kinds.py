"""Kinds of users and items: who is in which, over seeds, and what stands beside popularity."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from benchmarks import grid, kinds
from benchmarks.grid import Opened
from benchmarks.page_sections import Sections
from tests.coldstart_models.checkerboard import (
    board,
    board_split,
)


def told(users, ndcg, *, history, stranger=None, cells=None):
    none = [False] * len(users)
    return {
        "users": users,
        "ndcg@10": ndcg,
        "history": history,
        "stranger": stranger or none,
        "cells": cells or {},
    }


def test_a_user_is_in_the_kind_of_each_seeds_own_history():
    seeds = [
        {"cold": told([0, 2], [0.5, 0.1], history=[3, 30])},
        {"cold": told([0, 1], [0.7, 0.2], history=[25, 2])},
    ]
    found = kinds.kinds_of(seeds)
    assert list(found) == [("history", "1–4"), ("history", "20–49")]
    np.testing.assert_array_equal(
        found["history", "1–4"], [[0.5, np.nan, np.nan], [np.nan, 0.2, np.nan]]
    )


def test_strangers_and_warm_items_are_kinds_of_their_own():
    cold = told([0, 1], [0.5, 0.1], history=[3, 3], stranger=[False, True])
    warm = told([0, 3], [0.9, 0.9], history=[3, 3], cells={"0": [np.nan, 0.4], "1–5": [0.3, 0.2]})
    found = kinds.kinds_of([{"cold": cold, "warm": warm}])
    expected = {
        ("history", "1–4"): [0.5, 0.1, np.nan, np.nan],
        ("domain", "has chosen in it"): [0.5, np.nan, np.nan, np.nan],
        ("domain", "only in other domains"): [np.nan, 0.1, np.nan, np.nan],
        ("warmth", "new"): [0.5, 0.1, np.nan, np.nan],
        ("warmth", "0"): [np.nan, np.nan, np.nan, 0.4],
        ("warmth", "1–5"): [0.3, np.nan, np.nan, 0.2],
    }
    assert list(found) == list(expected)
    for kind, values in expected.items():
        np.testing.assert_array_equal(found[kind], [values])


def test_the_difference_to_popularity_is_paired_by_user():
    history = [3] * 40
    plain = np.random.default_rng(0).uniform(0.1, 0.4, 40)
    models = {
        "popularity": {"cold": told(list(range(40)), plain.tolist(), history=history)},
        "siamese": {"cold": told(list(range(40)), (plain + 0.1).tolist(), history=history)},
    }
    found = kinds.as_benchmark("shop", [{"split": "x", "models": models}])
    ours = found["breakdowns"][1]
    assert (ours["model"], ours["count"]) == ("siamese", 40)
    assert ours["over_popularity"] == pytest.approx([0.1, 0.1])
    assert "over_popularity" not in found["breakdowns"][0]


def test_what_is_published_is_told_apart_by_cut_and_run():
    users, history = list(range(40)), [3] * 40
    models = {
        name: {"cold": told(users, [ndcg] * 40, history=history)}
        for name, ndcg in (("popularity", 0.1), ("siamese", 0.2))
    }
    found = [kinds.as_benchmark(cut, [{"split": "x", "models": models}]) for cut in ("a", "b")]
    page = Sections.of(kinds.published(found))
    assert [*page.cuts] == ["a", "b"]
    for text in page.cuts.values():
        assert text.endswith("`siamese` is at least `popularity` in all 1 cells.")
    assert page.facts.startswith("- machine: ")


def test_of_one_sample_the_domain_is_ranked_that_people_know_least():
    (whole,) = (cut for cut in kinds.GRID if cut.name == "amazon-2023")
    assert kinds.HANDMADE not in kinds.GRID
    assert (kinds.HANDMADE.store, kinds.HANDMADE.plan) == (whole.store, whole.plan)
    assert (whole.domain, kinds.HANDMADE.domain) == (None, "Handmade_Products")


def test_a_shop_is_measured_from_its_split_on(monkeypatch):
    """Every user ranks the own five of ten new items first; popularity has one group's first."""
    monkeypatch.setattr(kinds, "MODELS", ("popularity", "siamese"))
    catalogue, split = board_split()
    seed = kinds.measured(Opened(catalogue, lambda seed: split, None, ()), 0)
    gains = 1 / np.log2(1 + np.arange(1, 11))
    last = gains[5:].sum() / gains[:5].sum()
    ndcg = {name: found["cold"]["ndcg@10"] for name, found in seed["models"].items()}
    assert sorted(ndcg["popularity"]) == pytest.approx([last] * 15 + [1.0] * 15, abs=1e-5)
    assert ndcg["siamese"] == [1.0] * 30
    plain, ours = kinds.as_benchmark("board", [seed])["breakdowns"]
    for row, name, mean in ((plain, "popularity", (1 + last) / 2), (ours, "siamese", 1.0)):
        assert (row["model"], row["by"], row["group"]) == (name, "history", "5–19")
        assert (row["ndcg@10"], row["count"]) == (pytest.approx(mean, abs=1e-5), 30)
    # Users drawn anew: half of them, give or take 2 standard errors, gain what the others have.
    low, high = ours["over_popularity"]
    error = (1 - last) * 0.5 / np.sqrt(30)
    assert low == pytest.approx((1 - last) / 2 - 1.96 * error, abs=error / 4)
    assert high == pytest.approx((1 - last) / 2 + 1.96 * error, abs=error / 4)


def test_a_cut_of_one_domain_is_split_by_it(monkeypatch, tmp_path):
    stored = SimpleNamespace(record=None, catalogue=board(), events=pd.DataFrame(), truth=None)
    asked = []
    monkeypatch.setattr(grid, "build_store", lambda *args, **options: None)
    monkeypatch.setattr(grid, "read_stored", lambda home: stored)
    monkeypatch.setattr(grid, "splitter", lambda *args, domain: asked.append(domain))
    (tmp_path / kinds.HANDMADE.store).mkdir()
    for cut in (kinds.HANDMADE, grid.GRID[0]):
        (tmp_path / cut.store).mkdir(exist_ok=True)
        grid.open_cut(cut, data=tmp_path, stores=tmp_path)
    assert asked == ["Handmade_Products", None]
