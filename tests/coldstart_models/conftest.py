"""The command `coldstart` run in the tests' process, and what small shops of tests need."""

import sys

import pytest

from coldstart_models import cli
from coldstart_models.siamese import stages
from feature_repo.home import HOME_VARIABLE


@pytest.fixture
def coldstart(monkeypatch, capsys, tmp_path):
    """Run the command in this process on an empty state folder."""
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path / "state"))
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["coldstart", *arguments])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        return stopped.value.code or 0, *capsys.readouterr()

    return run


@pytest.fixture
def towers_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the hundred people of a test's shop stop them."""
    monkeypatch.setattr(stages, "FEWEST_FOR_TOWERS", 100)
