"""A Bento holds the code, the lock and the model's tag; Bento's own commands work."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bentos.recommender import packing
from bentos.recommender.packing import copy_packages, package_folder
from bentos.recommender.requirements import Torch, requirements
from bentos.recommender.serve import command
from coldstart_models.artifacts import find_model
from feature_repo.home import Home

PROJECT = package_folder("bentos").parent
RECOMMENDER = PROJECT / "bentos" / "recommender"


def run(*arguments: str, home: Home, folder: Path = PROJECT) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "COLDSTART_HOME": str(home.root),
        "BENTOML_HOME": str(home.models),
        "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": str(PROJECT),
    }
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_packed_code_is_the_code_without_state_or_compiled_files(tmp_path: Path) -> None:
    copy_packages(tmp_path)

    packed = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")}
    assert "bentos/recommender/service.py" in packed
    pages = RECOMMENDER / "pages"
    assert {f"bentos/recommender/pages/{path.name}" for path in pages.iterdir()} <= packed
    assert "validation/tables.py" in packed
    assert "coldstart_models/data/catalogue.py" in packed
    assert "feature_repo/feature_store.yaml" in packed
    assert not any("__pycache__" in path for path in packed)


def test_state_inside_the_feature_repository_is_not_packed_and_other_data_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in packing.PACKAGES:
        (tmp_path / package / "data").mkdir(parents=True)
        (tmp_path / package / "data" / "some.parquet").touch()
    monkeypatch.setattr(packing, "package_folder", lambda name: tmp_path / name)
    copy_packages(tmp_path / "packed")
    packed = (tmp_path / "packed").rglob("some.parquet")
    assert {path.parents[1].name for path in packed} == {*packing.PACKAGES} - {"feature_repo"}


def test_the_serve_command_names_host_port_and_bento() -> None:
    assert command(host="127.0.0.1", port=3001, bento="coldstart_recommender:1")[1:] == [
        "-m",
        "bentoml",
        "serve",
        "coldstart_recommender:1",
        "--host",
        "127.0.0.1",
        "--port",
        "3001",
    ]


@pytest.mark.slow
def test_coldstarts_build_names_the_model_it_serves(home: Home) -> None:
    built = run("bentos.recommender.build", "--json", home=home)

    assert built.returncode == 0, built.stderr
    name, _, version = json.loads(built.stdout)["bento"].partition(":")
    bento = home.models / "bentos" / name / version
    assert find_model(home).tag in (bento / "bento.yaml").read_text()
    assert (bento / "src" / "coldstart_models" / "artifacts.py").is_file()
    packed = (bento / "env" / "python" / "requirements.txt").read_text()
    assert packed == requirements(PROJECT / "requirements.txt", torch=Torch.CUDA)


@pytest.mark.slow
def test_plain_bentoml_build_works_in_the_services_folder(home: Home) -> None:
    command = ("bentoml", "build", "-o", "tag", "--arg", "torch=cpu")
    built = run(*command, home=home, folder=RECOMMENDER)

    assert built.returncode == 0, built.stderr
    assert "coldstart_recommender:" in built.stdout
    assert list((home.models / "bentos").glob("*/*/src/bentos/recommender/service.py"))
    (packed,) = (home.models / "bentos").glob("*/*/env/python/requirements.txt")
    assert packed.read_text() == requirements(PROJECT / "requirements.txt", torch=Torch.CPU)


@pytest.mark.slow
def test_build_without_a_model_says_to_train(tmp_path: Path) -> None:
    built = run("bentos.recommender.build", home=Home(tmp_path))
    assert built.returncode == 2
    last = built.stderr.strip().splitlines()[-1]
    assert last.startswith("coldstart: ")
    assert last.endswith("run `coldstart train`")
    assert "Traceback" not in built.stderr


@pytest.mark.slow
@pytest.mark.parametrize("plain", [True, False])
def test_serving_without_a_model_exits_with_the_reason(tmp_path: Path, plain: bool) -> None:
    home = Home(tmp_path)
    if plain:
        served = run("bentoml", "serve", "--port", "0", home=home, folder=RECOMMENDER)
    else:
        served = run("bentos.recommender.serve", "--port", "0", home=home)
    assert served.returncode == 1
    assert "the recommender does not start: no model in" in served.stderr
    assert "Traceback" not in served.stderr
