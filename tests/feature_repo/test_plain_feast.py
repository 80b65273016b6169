"""Plain Feast, run as people run it, and `Store` see the same state."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from feature_repo.feature_tables import FEATURE_TABLES
from feature_repo.home import HOME_VARIABLE, REPOSITORY, Home
from feature_repo.jobs.aggregate import aggregate
from feature_repo.on_demand_features import ON_DEMAND_TABLES
from feature_repo.store import Store
from tests.feature_repo.samples import NOW, events_frame, write_events, write_items

FEAST = """
import sys
from feast.cli.cli import cli
for command in sys.argv[1:]:
    cli(command.split(), standalone_mode=False)
"""


def feast(*commands: str, repository: Path, home: Path | None) -> str:
    """Run `feast` commands in a feature repository, in one process; returns what they printed."""
    environment = {name: value for name, value in os.environ.items() if name != HOME_VARIABLE}
    others = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(repository.parent), others]))
    if home is not None:
        environment[HOME_VARIABLE] = str(home)
    done = subprocess.run(
        [sys.executable, "-c", FEAST, *commands],
        cwd=repository,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A copy of the project's packages, so that its `feature_repo/data` is not touched."""
    ignored = shutil.ignore_patterns("data", "__pycache__")
    for package in (REPOSITORY, REPOSITORY.parent / "validation"):
        shutil.copytree(package, tmp_path / "project" / package.name, ignore=ignored)
    return tmp_path / "project" / REPOSITORY.name


def fill(home: Home) -> None:
    write_items(home, {"item_id": "sofa", "price": 400.0})
    write_events(home, events_frame(("u1", "sofa", "click", "2010-03-01 10:00:00")))
    aggregate(home=home, now=NOW)


@pytest.mark.parametrize("variable", ["set", "unset"])
def test_apply_and_materialize_by_plain_feast_are_read_by_the_store(
    repository: Path, tmp_path: Path, variable: str
) -> None:
    root = tmp_path / "elsewhere" / "state" if variable == "set" else repository / "data"
    named = root if variable == "set" else None
    fill(Home(root))
    materialize = "materialize 2009-01-01T00:00:00 2011-01-01T00:00:00"
    feast("apply", materialize, repository=repository, home=named)
    store = Store(Home(root))
    (row,) = store.online(["user_history:history_item_ids"], [{"user_id": "u1"}])
    assert row["user_history__history_item_ids"] == ["sofa"]
    views = {view.name: view for view in store.registered().views}
    assert views["user_history"].materialized is not None
    assert not views["user_history"].stale
    strays = {path.name for path in repository.iterdir()} - {
        path.name for path in REPOSITORY.iterdir()
    }
    assert strays <= {"data"}
    if variable == "set":
        assert not (repository / "data").exists()


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["set", "unset"])
def test_what_the_store_applied_is_listed_by_plain_feast_and_applying_again_changes_nothing(
    repository: Path, tmp_path: Path, variable: str
) -> None:
    root = tmp_path / "state" if variable == "set" else repository / "data"
    named = root if variable == "set" else None
    fill(Home(root))
    applied = Store(Home(root)).apply()
    listed = feast("feature-views list", repository=repository, home=named)
    assert all(name in listed for name in (*FEATURE_TABLES, *ON_DEMAND_TABLES))
    incremental = "materialize-incremental 2026-01-01T00:00:00"
    feast("apply", incremental, repository=repository, home=named)
    again = Store(Home(root)).registered()
    assert dict(again.services) == dict(applied.services)
    assert [view.features for view in again.views] == [view.features for view in applied.views]


@pytest.mark.slow
def test_a_fresh_folder_can_be_applied_by_plain_feast(repository: Path, tmp_path: Path) -> None:
    feast("apply", repository=repository, home=tmp_path / "fresh")
    assert len(Store(Home(tmp_path / "fresh")).registered().views) == len(FEATURE_TABLES)


@pytest.mark.slow
def test_the_web_interface_shows_the_project(repository: Path, tmp_path: Path) -> None:
    home = tmp_path / "state"
    fill(Home(home))
    Store(Home(home)).apply()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        HOME_VARIABLE: str(home),
        "PYTHONPATH": str(repository.parent),
    }
    serving = subprocess.Popen(
        [sys.executable, "-c", FEAST, f"ui --host 127.0.0.1 --port {port}"],
        cwd=repository,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            assert answered(client, serving, "/").text.startswith("<!doctype html>")
            projects = answered(client, serving, "/projects-list.json").json()["projects"]
            assert [project["id"] for project in projects] == ["coldstart_home"]
            path = f"{projects[0]['registryPath']}/feature_views?project=coldstart_home"
            assert "user_history" in answered(client, serving, path).text
    finally:
        serving.terminate()
        serving.wait(timeout=30)


def answered(client: httpx.Client, serving: "subprocess.Popen[bytes]", path: str) -> httpx.Response:
    """The answer, once the server is up."""
    for _ in range(120):
        assert serving.poll() is None
        try:
            return client.get(path).raise_for_status()
        except httpx.ConnectError:
            time.sleep(0.5)
    raise AssertionError(f"no answer from {path}")
