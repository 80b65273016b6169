"""What is learned from shops carries over to a shop that nothing was learned from."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from coldstart_models.errors import ConfigError, ContractMismatch, NotEnoughData
from coldstart_models.general.contrast import (
    Contrast,
    GeneralSchedule,
    learning,
    problems_to_check,
    quality,
)
from coldstart_models.general.corpus import centred, make_corpus, warm_mean
from coldstart_models.general.kept_runs import KeptRuns
from coldstart_models.general.metric import (
    Metric,
    mean_covariances,
    shop_covariances,
    within_choices,
)
from coldstart_models.general.pretraining import in_metric, pretrain_tower
from coldstart_models.general.pretraining_job import pretrain_shops
from coldstart_models.general.problems import Problems
from coldstart_models.general.shops import common_encoders, shop_digest
from coldstart_models.general.tower import GeneralTower
from tests.coldstart_models.checkerboard import (
    board,
    board_rows,
    interactions_of,
    no_embeddings,
)
from tests.coldstart_models.general.conftest import NOW
from tests.coldstart_models.general.shops import WIDTH, shop, stored_shop

SHORT = GeneralSchedule(steps=60, check_every=20, users=32, candidates=64, rate=1e-2)


@pytest.fixture(scope="module")
def learned():
    return pretrain_tower(shops_of("a", "b", "c"), seed=0, schedule=SHORT)


def shops_of(*names):
    return [shop(name, seed=seed).corpus for seed, name in enumerate(names)]


def told_apart(corpus, vectors):
    """How often two contents that a person chose are more alike than two that nobody did (AUC)."""
    together = np.zeros((corpus.num_contents, corpus.num_contents), bool)
    for low, high in zip(corpus.bounds[:-1], corpus.bounds[1:], strict=True):
        together[np.ix_(corpus.content[low:high], corpus.content[low:high])] = True
    pairs = np.triu_indices(corpus.num_contents, k=1)
    return roc_auc_score(together[pairs], (vectors @ vectors.T)[pairs])


def test_an_untrained_tower_is_content_similarity():
    tower = GeneralTower({"text": WIDTH}, generator=torch.Generator().manual_seed(3))
    stored = stored_shop("a", seed=0).catalogue.text
    rows = centred(stored, warm_mean(stored, np.ones(len(stored.vectors), bool)))
    with torch.inference_mode():
        moved = tower("text", torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(moved @ moved.T, rows @ rows.T, atol=1e-5)


def test_without_a_metric_a_shop_is_read_as_it_is():
    corpus = shop("a", seed=0).corpus
    same = in_metric(corpus, Metric({}, 0.4))
    np.testing.assert_allclose(same.values["text"], corpus.values["text"], atol=1e-6)
    metric = Metric({"text": within_choices(corpus, "text", seed=0)}, 1.0)
    same = in_metric(corpus, metric)
    np.testing.assert_allclose(same.values["text"], corpus.values["text"], atol=1e-6)


def test_the_metric_of_other_shops_hears_what_an_unseen_shop_chooses_by():
    others, unseen = shops_of("a", "b", "c"), shop("unseen", seed=11).corpus
    metric = Metric(mean_covariances([shop_covariances(one, seed=0) for one in others]), 0.4)
    before = told_apart(unseen, unseen.values["text"])
    after = told_apart(unseen, in_metric(unseen, metric).values["text"])
    assert after > before


def test_training_lowers_the_loss():
    corpora = shops_of("a", "b")
    learner = Contrast({"text": WIDTH}, seed=0)
    losses = [loss for _, loss in learning(learner, corpora, SHORT, 0)]
    assert len(losses) == SHORT.steps
    assert np.mean(losses[-10:]) < 0.9 * np.mean(losses[:10])


def test_every_shop_gains_from_the_others_while_it_is_left_out(learned):
    record = learned.record
    assert set(record.by_shop) == {"a", "b", "c"}
    assert all(after > 1.1 * before for before, after in record.by_shop.values())
    assert max(record.checks, key=lambda check: check[1])[0] == record.kept_step
    assert record.shrinkages[learned.metric.shrinkage] == max(record.shrinkages.values())
    assert 1.0 in record.shrinkages


def test_an_unseen_shop_is_ranked_by_what_people_choose_and_not_by_what_is_loud(learned):
    unseen = shop("unseen", seed=11).corpus
    with torch.inference_mode():
        rows = torch.from_numpy(in_metric(unseen, learned.metric).values["text"])
        vectors = learned.tower("text", rows).numpy()
    before = told_apart(unseen, unseen.values["text"])
    assert told_apart(unseen, vectors) > before


def test_the_same_seed_gives_the_same_model_and_another_seed_another(learned):
    again = pretrain_tower(shops_of("a", "b", "c"), seed=0, schedule=SHORT)
    other = pretrain_tower(shops_of("a", "b", "c"), seed=1, schedule=SHORT)
    for name, values in learned.tower.state_dict().items():
        torch.testing.assert_close(again.tower.state_dict()[name], values, rtol=0, atol=0)
    for name, values in learned.metric.covariances.items():
        np.testing.assert_array_equal(again.metric.covariances[name], values)
    assert not np.array_equal(other.metric.covariances["text"], learned.metric.covariances["text"])


def test_shops_of_one_name_are_told_apart_and_the_same_shop_twice_is_refused():
    shops = [shop("a", seed=seed) for seed in (0, 1)]
    others = [
        replace(one, record=replace(one.record, name="a"))
        for one in (shop("x", seed=0), shop("y", seed=1))
    ]
    with pytest.raises(ConfigError, match="a, a have the same listings"):
        pretrain_shops(shops, now=NOW, seed=0, schedule=SHORT)
    made = pretrain_shops(others, now=NOW, seed=0, schedule=SHORT)
    assert made.provenance.names == ("a", "a")
    assert list(made.provenance.by_shop) == made.provenance.labels
    assert made.provenance.labels == [f"a ({one.record.digest[:8]})" for one in others]


def test_one_shop_is_checked_on_contents_that_were_held_out():
    made = pretrain_tower([shop("a", seed=0).corpus], seed=0, schedule=SHORT)
    assert list(made.record.by_shop) == ["a"]
    assert made.record.checks[0][1] <= max(value for _, value in made.record.checks)
    assert made.tower.widths == {"text": WIDTH}


def test_without_a_shop_there_is_nothing_to_learn():
    with pytest.raises(NotEnoughData, match="at least one shop"):
        pretrain_tower([], seed=0)


def test_a_shop_without_encoded_content_is_refused():
    catalogue = board()
    with pytest.raises(NotEnoughData, match="34 were chosen and none of those has an encoded text"):
        make_corpus("board", catalogue, interactions_of(board_rows(), catalogue))


def test_shops_of_different_encoders_are_refused():
    shops = [shop("a", seed=0), shop("b", seed=1, encoder_hash="another")]
    with pytest.raises(ContractMismatch, match="b has text vectors of tiny"):
        common_encoders(shops)


def test_listings_that_read_alike_are_one_content():
    stored = stored_shop("a", seed=0)
    text = stored.catalogue.text
    twins = text.vectors.copy()
    twins[1::2] = twins[::2]
    catalogue = replace(stored.catalogue, text=replace(text, vectors=twins))
    interactions = interactions_of(
        [(row.user_id, row.item_id, 0.0) for row in stored.events.itertuples()], catalogue
    )
    assert make_corpus("a", catalogue, interactions).num_contents == len(twins) // 2


def test_a_problem_knows_nothing_of_its_new_contents():
    corpus = shop("a", seed=0).corpus
    every = np.ones(corpus.num_contents, bool)
    problem = Problems(corpus, every, every).draw(np.random.default_rng(0), users=40, candidates=60)
    assert not np.isin(problem.histories, problem.candidates).any()
    rows = np.arange(len(problem.target))
    assert not problem.barred[rows, problem.target].any()
    chosen = {
        (int(user), int(content)) for user, content in zip(corpus.user, corpus.content, strict=True)
    }
    for row, history in enumerate(problem.histories):
        target = int(problem.candidates[problem.target[row]])
        items = [int(one) for one in history if one >= 0]
        assert any(
            all((user, item) in chosen for item in [target, *items])
            for user in range(len(corpus.bounds) - 1)
        )


def test_a_stopped_pretraining_repeats_no_run_that_was_over(learned, tmp_path):
    corpora, kept = shops_of("a", "b", "c"), KeptRuns(tmp_path / "deep" / "pretrain.json")
    losses = {}

    def stopped(name, value, step):
        if name == "loss without c":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pretrain_tower(corpora, seed=0, schedule=SHORT, kept=kept, curves=stopped)
    found = pretrain_tower(
        corpora,
        seed=0,
        schedule=SHORT,
        kept=kept,
        curves=lambda name, value, step: losses.setdefault(name, []).append(step),
    )
    assert set(losses) == {"loss without c", "loss", "ndcg@10 of shops left out"}
    assert losses["loss"] == list(range(1, found.record.kept_step + 1))
    assert found.record == learned.record
    for name, value in learned.tower.state_dict().items():
        assert torch.equal(found.tower.state_dict()[name], value)
    losses.clear()
    pretrain_tower(
        corpora,
        seed=1,
        schedule=SHORT,
        kept=kept,
        curves=lambda name, value, step: losses.setdefault(name, []).append(step),
    )
    assert "loss without a" in losses  # another seed is another problem


def test_what_is_no_number_or_all_alike_ranks_as_if_it_knew_nothing():
    corpus = shop("a", seed=0).corpus
    every = np.ones(corpus.num_contents, bool)
    new = np.arange(corpus.num_contents) % 5 == 0
    learner = Contrast({"text": WIDTH}, seed=0)
    checks = problems_to_check(corpus, new, every & ~new, 0)
    assert quality(learner, corpus, checks) > 0.05
    alike = replace(corpus, values={"text": np.ones_like(corpus.values["text"])})
    assert quality(learner, alike, checks) < 0.01
    with torch.no_grad():
        next(learner.tower.parameters()).fill_(float("nan"))
    assert quality(learner, corpus, checks) == 0.0


def test_shops_without_titles_are_told_apart_by_their_vectors():
    def untitled(name, seed):
        catalogue = stored_shop(name, seed=seed).catalogue
        return replace(catalogue, frame=catalogue.frame.assign(title=None))

    one, same, other = untitled("a", 0), untitled("b", 0), untitled("a", 1)
    assert shop_digest(one) == shop_digest(same) != shop_digest(other)
    bare = [replace(each, text=no_embeddings(len(each))) for each in (one, same)]
    assert len({shop_digest(each) for each in bare}) == 2
