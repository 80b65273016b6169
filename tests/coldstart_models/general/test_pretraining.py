"""What is learned from shops carries over to a shop that nothing was learned from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from coldstart_models.errors import ContractMismatch, NotEnoughData
from coldstart_models.general.corpus import centred, make_corpus, warm_mean
from coldstart_models.general.pretraining import GeneralSchedule, pretrain_tower
from coldstart_models.general.problems import Problems
from coldstart_models.general.shops import common_encoders
from coldstart_models.general.tower import GeneralTower
from tests.coldstart_models.checkerboard import board, board_rows, interactions_of
from tests.coldstart_models.general.shops import WIDTH, shop, stored_shop

SHORT = GeneralSchedule(steps=60, check_every=20, users=32, candidates=64, rate=1e-2)


@pytest.fixture(scope="module")
def learned():
    corpora = [shop(name, seed=seed).corpus for seed, name in enumerate(("a", "b", "c"))]
    return pretrain_tower(corpora, seed=0, schedule=SHORT)


def test_an_untrained_tower_is_content_similarity():
    tower = GeneralTower({"text": WIDTH}, generator=torch.Generator().manual_seed(3))
    stored = stored_shop("a", seed=0).catalogue.text
    rows = centred(stored, warm_mean(stored, np.ones(len(stored.vectors), bool)))
    with torch.inference_mode():
        moved = tower("text", torch.from_numpy(rows)).numpy()
    np.testing.assert_allclose(moved @ moved.T, rows @ rows.T, atol=1e-5)


def test_training_lowers_the_loss(learned):
    _, record = learned
    assert record.kept_step >= 20
    assert np.mean(record.losses[-10:]) < 0.9 * np.mean(record.losses[:10])


def test_every_shop_gains_from_the_others_while_it_is_left_out(learned):
    _, record = learned
    assert set(record.by_shop) == {"a", "b", "c"}
    assert all(after > 1.1 * before for before, after in record.by_shop.values())
    assert record.checks[0][0] == 0
    assert max(record.checks, key=lambda check: check[1])[0] == record.kept_step


def test_an_unseen_shop_is_ranked_by_what_people_choose_and_not_by_what_is_loud(learned):
    tower, _ = learned
    stored = stored_shop("unseen", seed=11).catalogue.text
    rows = centred(stored, warm_mean(stored, np.ones(len(stored.vectors), bool)))
    with torch.inference_mode():
        moved = tower("text", torch.from_numpy(rows)).numpy()
    corpus = shop("unseen", seed=11).corpus
    together = np.zeros((corpus.num_contents, corpus.num_contents), bool)
    for low, high in zip(corpus.bounds[:-1], corpus.bounds[1:], strict=True):
        together[np.ix_(corpus.content[low:high], corpus.content[low:high])] = True
    np.fill_diagonal(together, False)
    with torch.inference_mode():
        space = tower("text", torch.from_numpy(corpus.values["text"])).numpy()

    def nearest_is_chosen_together(vectors):
        similar = vectors @ vectors.T
        np.fill_diagonal(similar, -2.0)
        return together[np.arange(len(vectors)), similar.argmax(axis=1)].mean()

    assert moved.shape == rows.shape
    assert nearest_is_chosen_together(space) > nearest_is_chosen_together(corpus.values["text"])


def test_the_same_seed_gives_the_same_tower_and_another_seed_another(learned):
    corpora = [shop(name, seed=seed).corpus for seed, name in enumerate(("a", "b", "c"))]
    again, _ = pretrain_tower(corpora, seed=0, schedule=SHORT)
    other, _ = pretrain_tower(corpora, seed=1, schedule=SHORT)
    for name, values in learned[0].state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], values, rtol=0, atol=0)
    assert not torch.equal(other.outer["text"], learned[0].outer["text"])


def test_one_shop_is_checked_on_contents_that_were_held_out():
    tower, record = pretrain_tower([shop("a", seed=0).corpus], seed=0, schedule=SHORT)
    assert list(record.by_shop) == ["a"]
    assert record.checks[0][1] <= max(value for _, value in record.checks)
    assert tower.widths == {"text": WIDTH}


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
