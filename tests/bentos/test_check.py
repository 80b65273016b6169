"""What the init container of a rolling update asks: whether this version could serve here."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bentos.recommender import check
from bentos.recommender.packing import package_folder
from bentos.recommender.service import RecommenderService
from coldstart_models.api_keys import OPEN_VARIABLE
from coldstart_models.artifacts import find_model, save_model
from feature_repo.home import Home
from tests.bentos.conftest import CONTRACT
from tests.bentos.fakes import PRIOR, CountingRecommender

PROJECT = package_folder("bentos").parent


class Loaded(CountingRecommender):
    """A stand-in of the tag that was asked for."""

    def __init__(self, home: Home, *, tag: str) -> None:
        super().__init__(PRIOR)
        find_model(home, tag=tag).require_whole()
        self.tag = tag


@pytest.fixture(autouse=True)
def loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files and vectors of a model are there, whatever it is."""
    monkeypatch.delenv(check.BENTO_VARIABLE, raising=False)
    monkeypatch.setattr("coldstart_models.served_recommender.load_served", Loaded)


def save(home: Home, folder: Path, **changes: object) -> str:
    """A newer model."""
    folder.mkdir()
    (folder / "weights.json").write_text("{}")
    return save_model(folder, contract=replace(CONTRACT, **changes), metadata={}, home=home)


def refusal(capsys: pytest.CaptureFixture[str]) -> str:
    """What is said as the check exits with 1."""
    with pytest.raises(SystemExit) as exited:
        check.main()
    told = capsys.readouterr()
    assert (exited.value.code, told.out) == (1, "")
    return told.err


def test_a_home_that_fits_is_ready_and_names_its_model(
    home: Home, capsys: pytest.CaptureFixture[str]
) -> None:
    check.main()
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"ready to serve {find_model(home).tag}\n", "")


def test_features_that_are_not_the_models_stop_the_update_with_every_reason(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    columns = ("user_history:mood",)
    save(home, tmp_path / "new", text_encoder="minilm", text_encoder_hash="b", columns=columns)
    told = refusal(capsys)
    assert "text_encoder: the model was trained on 'minilm', the store holds None" in told
    assert "the store lacks user_history:mood" in told


def test_without_keys_the_update_stops(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(OPEN_VARIABLE)
    told = refusal(capsys)
    assert "does not start" in told
    assert "coldstart keys new" in told


def test_what_a_worker_would_find_only_as_it_loads_stops_the_update(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def scores(self: Loaded, history: object, item_ids: list[str], **_: Any) -> list[float]:
        return [float("nan")] * len(item_ids)

    monkeypatch.setattr(Loaded, "score", scores)
    assert "expected finite numbers" in refusal(capsys)


def test_a_corrupt_model_is_told_while_an_earlier_one_would_be_served(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = find_model(home).tag
    corrupt = save(home, tmp_path / "new")
    (find_model(home, tag=corrupt).path / "weights.json").write_text("{")
    check.main()
    told = capsys.readouterr()
    assert told.out == f"ready to serve {first}\n"
    assert told.err.startswith(f"{corrupt} is refused: ")


def test_an_image_checks_the_bento_that_it_holds(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load(folder: str) -> Any:
        loaded.append(folder)
        return RecommenderService

    monkeypatch.setattr("bentoml.load", load)
    monkeypatch.setenv(check.BENTO_VARIABLE, "/home/bentoml/bento")
    assert check.check(home) == find_model(home).tag
    assert loaded == ["/home/bentoml/bento"]


def test_the_init_containers_command_exits_with_the_reason(home: Home, tmp_path: Path) -> None:
    save(home, tmp_path / "new", feature_service="coldstart_v9")
    told = subprocess.run(
        [sys.executable, "-m", "bentos.recommender.check"],
        cwd=PROJECT,
        env={**os.environ, "BENTOML_HOME": str(home.models), "PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (told.returncode, told.stdout) == (1, "")
    assert "'coldstart_v9', which is not registered" in told.stderr
    assert "Traceback" not in told.stderr
