"""The service starts on a model that fits the store, and says why it does not on another."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from _bentoml_impl.server.serving import server_on_deployment
from bentoml.exceptions import BentoMLException
from prometheus_client import REGISTRY

from bentos.recommender.service import RecommenderService, begin_serving, model_tag
from coldstart_models.artifacts import find_model, save_model
from coldstart_models.errors import ArtifactError
from coldstart_models.recommending import Recommender
from coldstart_models.served_model import choose
from feature_repo.home import Home
from tests.bentos.conftest import CONTRACT
from tests.bentos.fakes import PRIOR, CountingRecommender, MemoryStore

CHOSEN_AT = datetime(2026, 3, 1, tzinfo=UTC)


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


def corrupted(home: Home, folder: Path) -> str:
    """A newer model whose file is torn."""
    tag = save(home, folder)
    (find_model(home, tag=tag).path / "weights.json").write_text("{")
    return tag


def test_a_corrupt_model_is_passed_over_for_the_newest_sound_one_and_told(
    home: Home,
    tmp_path: Path,
    store: MemoryStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    second = save(home, tmp_path / "second")
    corrupt = corrupted(home, tmp_path / "third")
    with pytest.raises(ArtifactError, match=r"is corrupt: weights\.json"):
        Recommender.load(home)
    server_on_deployment(RecommenderService)

    def load(home: Home, *, tag: str) -> CountingRecommender:
        find_model(home, tag=tag).require_whole()
        recommender = CountingRecommender(PRIOR)
        recommender.tag = tag
        return recommender

    monkeypatch.setattr("feature_repo.store.Store", lambda _: store)
    monkeypatch.setattr("coldstart_models.served_recommender.load_served", load)
    outcome = {"outcome": "refused"}
    before = REGISTRY.get_sample_value("coldstart_model_swaps_total", outcome) or 0.0
    service = RecommenderService.inner()
    status = service.status()
    assert (status.model, status.refused_model) == (second, corrupt)
    assert f"the model {corrupt} is corrupt: weights.json" in status.refused_because
    assert REGISTRY.get_sample_value("coldstart_model_swaps_total", outcome) == before + 1
    assert "is refused, an earlier model is served" in caplog.text
    assert status.not_ready == []
    assert service.operations().refused_because == status.refused_because
    assert str(home.root) not in status.refused_because


def test_of_a_chosen_model_that_is_corrupt_the_one_chosen_before_goes_on(
    home: Home, tmp_path: Path
) -> None:
    first = find_model(home).tag
    second = save(home, tmp_path / "second")
    save(home, tmp_path / "third")
    choose(home, tag=first, now=CHOSEN_AT)
    choose(home, tag=second, now=CHOSEN_AT)
    (find_model(home, tag=second).path / "metadata.json").write_text("{")
    begun = begin_serving(home, lambda stored: stored.require_whole())
    assert begun.stored.tag == first
    assert begun.refused is not None
    assert begun.refused.tag == second


def test_a_corrupt_model_is_refused_where_it_was_named_or_no_other_is_sound(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = find_model(home).tag
    corrupt = corrupted(home, tmp_path / "other")
    monkeypatch.setenv("COLDSTART_MODEL", corrupt)
    with pytest.raises(BentoMLException, match=rf"the model {corrupt} is corrupt: weights\.json"):
        server_on_deployment(RecommenderService)
    monkeypatch.setenv("COLDSTART_MODEL", first)
    server_on_deployment(RecommenderService)
    monkeypatch.delenv("COLDSTART_MODEL")
    (find_model(home, tag=first).path / "weights.json").write_text("{")
    with pytest.raises(BentoMLException, match=rf"the model {corrupt} is corrupt: weights\.json"):
        server_on_deployment(RecommenderService)
