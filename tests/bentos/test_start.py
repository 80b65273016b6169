"""The service starts on a model that fits the store, and says why it does not on another."""

from dataclasses import replace
from pathlib import Path

import pytest
from _bentoml_impl.server.serving import server_on_deployment
from bentoml.exceptions import BentoMLException

from bentos.recommender.service import RecommenderService, model_tag
from coldstart_models.artifacts import find_model, save_model
from coldstart_models.errors import ArtifactError
from coldstart_models.recommending import Recommender
from feature_repo.home import Home
from tests.bentos.conftest import CONTRACT


def save(home: Home, folder: Path, **changes: object) -> str:
    folder.mkdir()
    (folder / "weights.json").write_text("{}")
    return save_model(folder, contract=replace(CONTRACT, **changes), metadata={}, home=home)


def test_a_model_that_fits_is_let_through(home: Home) -> None:
    server_on_deployment(RecommenderService)


def test_a_mismatch_is_refused_with_every_reason(home: Home, tmp_path: Path) -> None:
    columns = ("user_history:mood",)
    save(home, tmp_path / "other", text_encoder="minilm", text_encoder_hash="b", columns=columns)

    with pytest.raises(BentoMLException) as raised:
        server_on_deployment(RecommenderService)

    assert "the recommender does not start" in str(raised.value)
    assert "text_encoder: the model was trained on 'minilm', the store holds None" in str(
        raised.value
    )
    assert "the store lacks user_history:mood" in str(raised.value)


def test_a_home_without_a_model_is_refused_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLDSTART_HOME", str(tmp_path / "empty"))
    with pytest.raises(BentoMLException, match="run `coldstart train`"):
        server_on_deployment(RecommenderService)


def test_an_unregistered_feature_service_is_refused(home: Home, tmp_path: Path) -> None:
    save(home, tmp_path / "other", feature_service="coldstart_v9")
    with pytest.raises(BentoMLException, match="'coldstart_v9', which is not registered"):
        server_on_deployment(RecommenderService)


def test_a_home_where_nothing_is_applied_says_to_apply(home: Home) -> None:
    home.registry.unlink()
    with pytest.raises(BentoMLException, match="run `coldstart apply`"):
        server_on_deployment(RecommenderService)


def test_an_older_model_can_be_named(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_model(home).tag
    save(home, tmp_path / "other", text_encoder="minilm", text_encoder_hash="b")
    monkeypatch.setenv("COLDSTART_MODEL", first)

    assert model_tag() == first
    server_on_deployment(RecommenderService)


def test_a_corrupt_model_is_refused_and_the_one_before_it_can_be_named(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_model(home).tag
    corrupt = save(home, tmp_path / "other")
    (find_model(home).path / "weights.json").write_text("{")

    with pytest.raises(BentoMLException, match=rf"the model {corrupt} is corrupt: weights\.json"):
        server_on_deployment(RecommenderService)
    with pytest.raises(ArtifactError, match=r"is corrupt: weights\.json"):
        Recommender.load(home)
    monkeypatch.setenv("COLDSTART_MODEL", first)
    server_on_deployment(RecommenderService)
