"""Parts are taken out one by one, and what is told is the difference."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks import ablation, ablation_cells
from benchmarks.grid import Cut, Opened
from benchmarks.listing_parts import CATEGORY, PRICE, blank, listing_parts
from coldstart_models.benchmark_run import SplitPlan
from coldstart_models.data.pools import cold_pool
from coldstart_models.data.traits import KINDS, TRAITS
from coldstart_models.metrics import AUC, NDCG, USER_METRICS, user_metrics
from coldstart_models.siamese.inputs import ATTRIBUTES, PRICE_BINS, Featurizer
from coldstart_models.siamese.stages import pretrain
from tests.coldstart_models.checkerboard import (
    CUTOFF,
    board,
    board_split,
)


@pytest.fixture(scope="module")
def scored():
    catalogue, split = board_split()
    training, pool = split.training_set(catalogue), cold_pool(split)
    model = pretrain(training, dates=False, seed=0)
    before = model.network.scorer.term_weights.clone()
    found = dict(ablation_cells.variant_scores(model, training, pool, seed=0))
    assert bool((model.network.scorer.term_weights == before).all())
    return found, model, pool, catalogue.item_ids[pool.task.candidates]


def test_every_term_and_part_is_taken_out_once(scored):
    found, model, pool, _ = scored
    terms = {f"term: {name}, {kind}" for name, kind in model.network.scorer.terms}
    assert terms < set(found)
    assert {"the prior", "learned: everything", "the listing's text"} < set(found)
    events = {"recency", "event types", "quantities and prices", "repeats"}
    assert {f"history: {told}" for told in events} < set(found)
    assert all(scores.shape == pool.chosen.shape for scores in found.values())
    assert all(np.isfinite(scores).all() for scores in found.values())


def test_of_dates_the_season_and_the_age_are_taken_out():
    catalogue, split = board_split()
    training, pool = split.training_set(catalogue), cold_pool(split)
    model = pretrain(training, dates=True, seed=0)
    term = model.network.date_term
    assert term is not None
    with torch.no_grad():
        term.season_weight.fill_(0.0)
        term.age_weight.fill_(50.0)
    found = dict(ablation_cells.dated_scores(model, training, pool))
    assert float(term.age_weight.detach()) == 50.0
    whole = found.pop(ablation_cells.WHOLE)
    differ = {name: bool((scores != whole).any()) for name, scores in found.items()}
    assert differ == {"the season": False, "the age": True, "the season and the age": True}
    np.testing.assert_array_equal(found["the age"], found["the season and the age"])
    with pytest.raises(ValueError, match="without dates"):
        next(ablation_cells.dated_scores(pretrain(training, dates=False, seed=0), training, pool))


def test_a_listing_without_its_only_content_is_like_every_other(scored):
    found, _, _, _ = scored
    assert np.ptp(found["the listing's text"], axis=1).max() == pytest.approx(0.0, abs=1e-4)


def test_a_constant_boost_has_an_auc_of_one_half(scored):
    found, _, pool, ids = scored
    values = user_metrics(found[ablation_cells.CONSTANT], pool.chosen.toarray(), ids).values
    assert values[:, USER_METRICS.index(AUC)].tolist() == pytest.approx([0.5] * len(values))


def test_a_row_tells_what_is_lost_over_users_and_seeds():
    parts = {
        ablation_cells.WHOLE: [[0.5, 0.9], [0.7, 0.9]],
        "part": [[0.4, 0.8], [0.5, 0.8]],
    }
    cell = {"people": 5, "users": [1, 3], "models": {ablation_cells.DATED: parts}}
    row = ablation._row("cut", "part", [cell], model=ablation_cells.DATED)
    assert (row["ndcg@10"], row["auc"], row["ndcg@10 lost"]) == (0.45, 0.8, 0.15)
    assert 0.1 <= row["low"] <= 0.15 <= row["high"] <= 0.2
    (page,) = ablation.shown([row | {"low": 0.1, "high": 0.2}])
    assert page["95 %"] == "+.1000 to +.2000"
    assert list(page)[-2:] == ["ndcg@10 lost", "95 %"]


def test_a_cell_is_measured_once_and_its_rows_are_of_both_models(tmp_path, monkeypatch):
    catalogue, split = board_split()
    opened = Opened(catalogue, lambda seed: split, None, ("data", 1, "", ""))
    cut = Cut("board", "board", "marketplace", SplitPlan(cutoff=CUTOFF))
    monkeypatch.setattr(ablation, "CELLS", tmp_path)
    monkeypatch.setattr(ablation, "open_cut", lambda cut, *, data, stores: opened)
    rows = ablation.measured(cut, tmp_path, stores=tmp_path, seeds=1)
    told = {(row["cut"], row["without"]) for row in rows}
    assert {("board", "–"), ("board", "the prior"), ("board, with dates", "the age")} < told
    whole = next(row for row in rows if row["without"] == "–")
    pool, training = cold_pool(split), split.training_set(catalogue)
    model = pretrain(training, dates=False, seed=0)
    _, found = next(ablation_cells.variant_scores(model, training, pool, seed=0))
    values = user_metrics(found, pool.chosen.toarray(), catalogue.item_ids[pool.task.candidates])
    expected = np.nanmean(values.values[:, USER_METRICS.index(NDCG)])
    assert whole["ndcg@10"] == pytest.approx(expected, abs=1e-4)

    def twice(*given, **named):
        raise AssertionError("measured again")

    monkeypatch.setattr(ablation_cells, "measured", twice)
    assert ablation.measured(cut, tmp_path, stores=tmp_path, seeds=1) == rows


def test_of_a_historys_events_one_respect_at_a_time_counts_alike(scored):
    _, trained, pool, _ = scored
    model = trained.copied()
    with torch.no_grad():
        model.network.scorer.trait_weights.fill_(0.5)
        model.network.scorer.recency.fill_(0.5)
    found = {
        name: less.network.scorer
        for name, less, _ in ablation_cells.variants(
            model, model.inputs, pool.task.candidates, seed=0
        )
        if name.startswith("history: ")
    }
    recency = {name: float(one.recency.detach()) for name, one in found.items()}
    assert [name for name, weight in recency.items() if weight == 0] == ["history: recency"]
    left = found["history: event types"].trait_weights.tolist()
    assert left == [0.0 if trait in KINDS else 0.5 for trait in TRAITS]
    gone = [(one.trait_weights == 0).sum().item() for one in found.values()]
    assert gone == [0, 3, 2, 1]  # every trait once


def described(prices):
    """The checkerboard with categories and these prices."""
    catalogue = board()
    kinds = [f"Home > Kind {number % 3}" for number in range(len(catalogue))]
    return replace(catalogue, frame=catalogue.frame.assign(price=prices, category=kinds))


@pytest.fixture
def priced():
    prices = np.linspace(1.0, 90.0, len(board()))
    catalogue = described(prices)
    featurizer = Featurizer.fit(catalogue, np.ones(len(catalogue), bool), seed=0)
    return prices, featurizer, featurizer(catalogue)


def test_a_listing_without_a_price_is_as_if_it_had_never_had_one(priced):
    prices, featurizer, inputs = priced
    rows, parts = np.array([2, 5]), listing_parts(featurizer, inputs)
    assert {CATEGORY, PRICE} < set(parts)
    gone = prices.copy()
    gone[rows] = np.nan
    never, less = featurizer(described(gone)), blank(inputs, parts[PRICE], rows)
    np.testing.assert_allclose(less.values[ATTRIBUTES], never.values[ATTRIBUTES], atol=1e-6)
    np.testing.assert_array_equal(less.present[ATTRIBUTES], never.present[ATTRIBUTES])
    assert inputs.values[ATTRIBUTES][rows, -PRICE_BINS:].any()  # what was given is as it was


def test_a_listing_without_category_and_price_has_no_attributes_at_all(priced):
    _, featurizer, inputs = priced
    parts = listing_parts(featurizer, inputs)
    less = blank(inputs, (*parts[CATEGORY], *parts[PRICE]), np.array([2]))
    assert not less.present[ATTRIBUTES][2]
    assert not less.values[ATTRIBUTES][2].any()
    assert less.present[ATTRIBUTES][3]
