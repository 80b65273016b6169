"""Starting the service: what its workers find, whichever folder it is started from."""

import os
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bentos.recommender import serve
from coldstart_models import api_keys, artifacts
from coldstart_models.cli import app
from coldstart_models.config import CONFIG_VARIABLE
from feature_repo.home import HOME_VARIABLE


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration and a state folder, in which we are; nothing is replaced."""
    monkeypatch.chdir(tmp_path)
    for name in (CONFIG_VARIABLE, "BENTOML_HOME", "BENTOML_DO_NOT_TRACK", "COLDSTART_WORKERS"):
        monkeypatch.setenv(name, "")  # so that what is set is taken back
    monkeypatch.setenv(HOME_VARIABLE, "state")
    monkeypatch.delenv(api_keys.OPEN_VARIABLE)
    monkeypatch.setattr(serve, "read_beside", lambda paths: None)
    monkeypatch.setattr(os, "execv", lambda path, arguments: None)
    monkeypatch.setattr(sys, "argv", ["serve"])
    return tmp_path


def test_workers_find_the_state_and_the_configuration_of_who_starts_them(started: Path) -> None:
    (started / "coldstart.toml").write_text("[explore]\npolicy = 'thompson'\n")
    serve.main()
    assert os.environ[HOME_VARIABLE] == str(started / "state")
    assert os.environ[CONFIG_VARIABLE] == str(started / "coldstart.toml")


def test_without_a_configuration_none_is_named(started: Path) -> None:
    serve.main()
    assert os.environ[CONFIG_VARIABLE] == ""


def test_a_configuration_that_is_not_there_is_told_before_anything_starts(
    started: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CONFIG_VARIABLE, "none.toml")
    with pytest.raises(SystemExit) as ended:
        serve.main()
    assert ended.value.code == 2
    assert "there is no configuration file none.toml" in capsys.readouterr().err


@pytest.fixture
def executed(started: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """What `coldstart serve` replaces its process by, where there are a model and a key."""
    monkeypatch.setattr(artifacts, "find_model", lambda home: None)
    monkeypatch.setattr(api_keys, "require_keys", lambda home: None)
    commands: list[list[str]] = []
    monkeypatch.setattr(os, "execv", lambda path, arguments: commands.append([path, *arguments]))
    return commands


@pytest.mark.parametrize(
    ("options", "asked"),
    [
        ([], ["--host", "127.0.0.1", "--port", "3000", "--workers", "1"]),
        (
            ["--host", "0.0.0.0", "--port", "3001", "--workers", "2", "--bento", "ours:1"],
            ["--host", "0.0.0.0", "--port", "3001", "--workers", "2", "--bento", "ours:1"],
        ),
        (["--config", "shop.toml"], ["--host", "::1", "--port", "3210", "--workers", "3"]),
    ],
    ids=["defaults", "options", "configuration"],
)
def test_the_command_starts_the_service_as_it_is_asked_to(
    started: Path, executed: list[list[str]], options: list[str], asked: list[str]
) -> None:
    (started / "shop.toml").write_text("[serve]\nhost = '::1'\nport = 3210\nworkers = 3\n")
    answered = CliRunner().invoke(app, ["serve", *options])
    assert answered.exit_code == 0, answered.output
    assert executed == [[sys.executable, sys.executable, "-m", "bentos.recommender.serve", *asked]]
    assert os.environ[CONFIG_VARIABLE] == ("shop.toml" if "--config" in options else "")
    assert api_keys.OPEN_VARIABLE not in os.environ


def test_the_service_is_open_to_all_where_that_is_asked_for(
    started: Path, executed: list[list[str]]
) -> None:
    answered = CliRunner().invoke(app, ["serve", "--open"])
    assert answered.exit_code == 0, answered.output
    assert len(executed) == 1
    assert os.environ[api_keys.OPEN_VARIABLE] == "1"
