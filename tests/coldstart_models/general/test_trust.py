"""A shop's own training counts for as much as its log says of what goes together."""

import pytest
import torch

from coldstart_models.general.trust import companions_per_item, drawn_back, trust
from coldstart_models.siamese import stages
from coldstart_models.siamese.stages import pretrain
from coldstart_models.siamese.training import Schedule
from tests.coldstart_models.checkerboard import interactions_of, titled
from tests.coldstart_models.general.shops import split_of, stored_shop

CATALOGUE = titled({name: f"thing {name}" for name in "abcd"})


def log_of(*pairs: str):
    return interactions_of(
        [(pair[0], pair[1], float(day)) for day, pair in enumerate(pairs)], CATALOGUE
    )


def test_companions_are_counted_person_by_person_and_once():
    assert companions_per_item(log_of("ua", "ub", "ub", "vb", "vc")) == pytest.approx(4 / 3)
    assert companions_per_item(log_of("ua", "vb")) == 0.0


def test_trust_grows_with_the_log_from_nothing():
    few, more = log_of("ua", "vb", "vc"), log_of("ua", "ub", "uc", "ud")
    assert trust(log_of("ua", "vb")) == 0.0
    assert 0.0 < trust(few) < trust(more) < 1.0
    assert trust(more, half=3.0) == pytest.approx(0.5)


def test_only_the_scorer_is_drawn_back():
    start = {"scorer.w": torch.zeros(2), "pace.w": torch.zeros(2)}
    trained = {"scorer.w": torch.ones(2), "pace.w": torch.ones(2)}
    found = drawn_back(start, trained, share=0.25)
    assert found["scorer.w"].tolist() == [0.25, 0.25]
    assert found["pace.w"].tolist() == [1.0, 1.0]


def test_a_shop_that_starts_from_the_general_model_keeps_the_trusted_share(
    general_model, monkeypatch
):
    stored = stored_shop("target", seed=7)
    training = split_of(stored).training_set(stored.catalogue)
    short = Schedule(steps=20, check_every=20, patience=5)
    monkeypatch.setattr(stages, "trust", lambda log: 1.0)
    whole = pretrain(training, dates=False, seed=0, general=general_model, schedule=short)
    monkeypatch.setattr(stages, "trust", lambda log: 0.25)
    part = pretrain(training, dates=False, seed=0, general=general_model, schedule=short)
    monkeypatch.setattr(stages, "trust", lambda log: 0.0)
    start = pretrain(training, dates=False, seed=0, general=general_model, schedule=short)
    trained, kept, began = (
        one.network.scorer.term_weights.detach() for one in (whole, part, start)
    )
    assert not torch.equal(trained, began)
    torch.testing.assert_close(kept, began + 0.25 * (trained - began))


def test_a_shop_that_starts_from_nothing_keeps_all_its_training(monkeypatch):
    stored = stored_shop("target", seed=7)
    training = split_of(stored).training_set(stored.catalogue)
    monkeypatch.delattr(stages, "trust")  # nobody asks
    short = Schedule(steps=20, check_every=20)
    assert pretrain(training, dates=False, seed=0, schedule=short).featurizer.general is None
