"""A general model is kept with what it was made of, and what does not fit it is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmarks.thinning import thinned
from coldstart_models.errors import ArtifactError, ConfigError, ContractMismatch
from coldstart_models.general.artifact import load_general, require_left_out, save_general
from coldstart_models.general.shops import licences_stated, shop_digest
from coldstart_models.general.space import GENERAL
from coldstart_models.siamese.files import load_folder, save_folder
from coldstart_models.siamese.inputs import Featurizer
from coldstart_models.siamese.network import MetaSiamese
from coldstart_models.siamese.population import Population
from coldstart_models.siamese.preparing import history_batch, to_vectors
from coldstart_models.siamese.ranker import SiameseRanker
from coldstart_models.siamese.stages import pretrain
from coldstart_models.siamese.training import Schedule
from tests.coldstart_models.general.shops import HASH, split_of, stored_shop


@pytest.fixture(scope="module")
def target():
    return stored_shop("target", seed=7)


def training_of(stored):
    return split_of(stored).training_set(stored.catalogue)


def test_what_is_saved_is_what_is_loaded(general_model, tmp_path):
    save_general(general_model, tmp_path / "general")
    loaded = load_general(tmp_path / "general")
    assert loaded.provenance == general_model.provenance
    assert loaded.digest == general_model.digest
    assert loaded.metric.shrinkage == general_model.metric.shrinkage
    for name, values in general_model.metric.covariances.items():
        np.testing.assert_array_equal(loaded.metric.covariances[name], values)
    for name, values in general_model.tower.state_dict().items():
        assert torch.equal(loaded.tower.state_dict()[name], values)


def test_the_folder_says_from_what_the_model_was_made(general_model, tmp_path):
    save_general(general_model, tmp_path)
    told = json.loads((tmp_path / "config.json").read_text())
    assert [source["name"] for source in told["sources"]] == ["a", "b"]
    assert {source["licence"] for source in told["sources"]} == {"CC0"}
    first = told["sources"][0]
    assert (first["items"], first["users"]) == (240, 150)
    assert 0 < first["pairs"] <= first["events"]
    assert told["encoders"] == {"text": {"id": "tiny", "hash": HASH}}
    assert told["seed"] == 0
    assert told["code_version"]


def test_a_folder_that_is_none_or_was_changed_is_refused(general_model, tmp_path):
    with pytest.raises(ArtifactError, match=r"config\.json, tower\.safetensors is not there"):
        load_general(tmp_path / "nowhere")
    save_general(general_model, tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"digest": "0" * 16}))
    with pytest.raises(ArtifactError, match=r"are not those that its config\.json is of"):
        load_general(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config | {"format": 99}))
    with pytest.raises(ArtifactError, match="of format 99, this version reads 1"):
        load_general(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ArtifactError, match="is not what `coldstart pretrain` wrote"):
        load_general(tmp_path)
    lacking = {name: value for name, value in config.items() if name != "digest"}
    (tmp_path / "config.json").write_text(json.dumps(lacking))
    with pytest.raises(ArtifactError, match="is not what `coldstart pretrain` wrote"):
        load_general(tmp_path)


@pytest.mark.parametrize("left", [0, 40, -7], ids=["nothing", "the head", "all but the end"])
def test_a_tower_that_was_cut_off_is_told_as_such(general_model, tmp_path, left):
    save_general(general_model, tmp_path)
    whole = (tmp_path / "tower.safetensors").read_bytes()
    (tmp_path / "tower.safetensors").write_bytes(whole[:left])
    with pytest.raises(ArtifactError, match="is not what `coldstart pretrain` wrote"):
        load_general(tmp_path)


def test_another_encoder_is_refused_by_name_and_hash(general_model):
    training = training_of(stored_shop("target", seed=7, encoder_hash="another-encoder-hash"))
    with pytest.raises(ContractMismatch) as raised:
        Featurizer.fit(training.catalogue, training.warm, seed=0, general=general_model)
    assert "text: learned on tiny (hash-of-the-" in str(raised.value)
    assert "this shop has tiny (another-enco" in str(raised.value)


def test_a_shop_without_what_the_tower_reads_is_refused(general_model, target):
    training = training_of(target)
    text = replace(target.catalogue.text, present=np.zeros(len(target.catalogue), bool))
    catalogue = replace(target.catalogue, text=text)
    with pytest.raises(ContractMismatch, match="reads text, and fewer than two listings"):
        Featurizer.fit(catalogue, training.warm, seed=0, general=general_model)


def test_a_modality_of_a_single_known_listing_is_none(general_model, target):
    training = training_of(target)
    present = np.zeros(len(target.catalogue), bool)
    present[np.flatnonzero(training.warm)[0]] = True
    catalogue = replace(target.catalogue, text=replace(target.catalogue.text, present=present))
    with pytest.raises(ContractMismatch, match="reads text, and fewer than two listings"):
        Featurizer.fit(catalogue, training.warm, seed=0, general=general_model)


def test_transfer_may_not_be_measured_on_a_shop_that_was_learned_from(general_model, target):
    require_left_out(general_model.provenance, name="target", digest=shop_digest(target.catalogue))
    with pytest.raises(ConfigError, match="learned from a, which is the target a:"):
        require_left_out(general_model.provenance, name="a", digest="")
    digest = shop_digest(stored_shop("a", seed=0).catalogue)
    with pytest.raises(ConfigError, match="which is the target renamed under another name"):
        require_left_out(general_model.provenance, name="renamed", digest=digest)


def test_a_model_that_started_from_the_general_one_keeps_all_it_needs(
    general_model, target, tmp_path
):
    training = training_of(target)
    model = pretrain(
        training,
        dates=False,
        seed=0,
        general=general_model,
        schedule=Schedule(steps=2, check_every=1),
    )
    assert GENERAL in model.network.scorer.widths
    inputs = model.featurizer(training.catalogue)
    with torch.inference_mode():
        tower = model.network.scorer.tower(to_vectors(inputs, model.fitted.items(inputs)[0]))
        users = np.arange(50)
        profiles = model.network.scorer.profiles(
            tower, history_batch(training.interactions.histories(users))
        )
    save_folder(
        tmp_path,
        featurizer=model.featurizer,
        head=model.fitted.head,
        network=model.network,
        population=Population.of(profiles),
    )
    featurizer, _, network, _ = load_folder(tmp_path)
    again = featurizer(training.catalogue)
    np.testing.assert_array_equal(again.values[GENERAL], inputs.values[GENERAL])
    assert network.scorer.widths == model.network.scorer.widths


@pytest.mark.usefixtures("towers_learn")
def test_a_shop_that_starts_from_the_general_model_keeps_what_its_own_training_taught(
    general_model, target
):
    short = Schedule(steps=2, check_every=1)
    model = pretrain(
        training_of(target), dates=False, seed=0, general=general_model, schedule=short
    )
    widths, generator = model.network.scorer.widths, torch.Generator().manual_seed(0)
    began, ended = MetaSiamese(widths, dates=False, generator=generator), model.network
    assert GENERAL in widths
    assert [step for step, _ in model.records["train"].checks] == [0, 1, 2]
    assert not torch.equal(began.scorer.term_weights, ended.scorer.term_weights)


def test_it_ranks_an_unseen_shop_of_few_events_better_than_that_shop_alone(general_model, target):
    from coldstart_models.data.pools import cold_pool
    from coldstart_models.metrics import NDCG, USER_METRICS, user_metrics

    split = thinned(split_of(target), 0.25, seed=0)
    pool = cold_pool(split)
    found = []
    for start in (None, general_model):
        ranker = SiameseRanker(meta=False, dates=False, by_time=False, general=start)
        ranker.fit(split.training_set(target.catalogue), seed=0)
        ids = target.catalogue.item_ids[pool.task.candidates]
        values = user_metrics(ranker.score(pool.task), pool.chosen.toarray(), ids).values
        found.append(values[:, USER_METRICS.index(NDCG)].mean())
    assert found[1] > 1.05 * found[0]


def test_terms_are_stated_by_name():
    assert licences_stated(["shop=CC BY 4.0"]) == {"shop": "CC BY 4.0"}
    with pytest.raises(ConfigError, match="is not NAME=TERMS"):
        licences_stated(["CC0"])
