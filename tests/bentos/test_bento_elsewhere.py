"""A Bento in its own folder, in an environment made of its own requirements and of nothing else."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

import httpx
import pytest

from bentos.recommender.build import GIB
from coldstart_models.artifacts import find_model
from feature_repo.home import Home
from feature_repo.store import Store
from tests.bentos.real_shop import NOW
from tests.bentos.servers import PROJECT, free_port, wait_until_ready
from tests.bentos.test_bento import RECOMMENDER, run
from tests.bentos.test_swapping_under_load import home as home
from tests.bentos.test_swapping_under_load import train_job

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

UV: Final = PROJECT / ".tools" / "bin" / "uv"
UNREACHABLE: Final = ("dns error", "error sending request", "Failed to fetch")
CPU_INDEX: Final = {"UV_TORCH_BACKEND": "cpu"}


@pytest.fixture
def venv(tmp_path: Path) -> Iterator[Path]:
    """Where an environment can be made; some GB, which are not kept as a test's folder is."""
    yield tmp_path / "venv"
    shutil.rmtree(tmp_path / "venv", ignore_errors=True)


def test_what_coldstart_builds_serves_from_its_own_folder_with_the_model_it_brings(
    home: Home, tmp_path: Path, venv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = train_job(home=home, now=NOW, seed=0).tag
    Store(home).materialize()
    built = run("bentos.recommender.build", "--torch", "cuda", home=home)
    assert built.returncode == 0, built.stderr
    bento = taken_away(home, tmp_path)
    stored = find_model(home, tag=tag)
    name, _, number = tag.partition(":")
    shutil.move(stored.path, bento / "models" / name / number)  # the state folder lacks it now

    python = environment_of(bento, venv)

    tell(capsys, built.stdout, python)
    serves_the_shop(bento, python, home, tmp_path, model=tag)


def test_what_plain_bentoml_builds_without_cuda_serves_from_its_own_folder(
    home: Home, tmp_path: Path, venv: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tag = train_job(home=home, now=NOW, seed=1).tag
    Store(home).materialize()
    command = ("bentoml", "build", "-o", "tag", "--arg", "torch=cpu")
    built = run(*command, home=home, folder=RECOMMENDER)
    assert built.returncode == 0, built.stderr
    bento = taken_away(home, tmp_path)

    try:
        python = environment_of(bento, venv, **CPU_INDEX)
    except ConnectionError as error:
        with capsys.disabled():
            print(f"\ntorch without CUDA was not to be had, so it is PyPI's torch here: {error}")
        python = environment_of(bento, venv)
    else:
        assert "+cpu" in installed(python, "torch")

    tell(capsys, built.stdout.removeprefix("__tag__:"), python)
    serves_the_shop(bento, python, home, tmp_path, model=tag)


def taken_away(home: Home, folder: Path) -> Path:
    """The newest Bento, in a folder outside the store, as an image has it."""
    versions = (home.models / "bentos" / "coldstart_recommender").iterdir()
    newest = max((one for one in versions if one.is_dir()), key=lambda one: one.stat().st_mtime)
    return Path(shutil.copytree(newest, folder / "bento"))


def environment_of(bento: Path, folder: Path, **variables: str) -> Path:
    """A new virtual environment of its requirements; its python.

    Skips where PyPI cannot be reached. Raises ConnectionError where the index that the variables
    name cannot.
    """
    if not UV.exists():
        pytest.skip(f"there is no {UV}: make setup installs it")
    begin = [str(UV), "venv", "--clear", "--python", sys.executable, str(folder)]
    subprocess.run(begin, check=True, capture_output=True)
    python = folder / "bin" / "python"
    requirements = bento / "env" / "python" / "requirements.txt"
    install = [str(UV), "pip", "install", "--python", str(python), "-r", str(requirements)]
    told = {**os.environ, **variables}
    done = subprocess.run(install, env=told, capture_output=True, text=True, timeout=1200)
    if done.returncode and any(sign in done.stderr for sign in UNREACHABLE):
        if variables:
            raise ConnectionError(done.stderr.strip().splitlines()[-1].strip())
        pytest.skip(f"no package index can be reached: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return python


def installed(python: Path, package: str) -> str:
    """Its version in that environment."""
    script = f"from importlib.metadata import version; print(version({package!r}))"
    return subprocess.run(
        [str(python), "-c", script], capture_output=True, text=True, check=True
    ).stdout


def tell(capsys: pytest.CaptureFixture[str], built: str, python: Path) -> None:
    """Say what it weighs, and that the environment is another one than the tests' own."""
    assert installed(python, "bentoml").strip() == version("bentoml")
    development = [str(python), "-c", "import pytest"]
    assert subprocess.run(development, capture_output=True).returncode == 1
    files = (path.lstat() for path in python.parents[1].rglob("*"))
    with capsys.disabled():
        print(f"\n{built.strip()}")
        print(f"its environment takes {sum(one.st_size for one in files) / GIB:.2f} GiB on disk")


def serves_the_shop(bento: Path, python: Path, home: Home, folder: Path, *, model: str) -> None:
    """It answers by its model, and writes nothing into its folder."""
    files = sorted(path.relative_to(bento) for path in bento.rglob("*"))
    with serving(bento, python, home, folder) as client:
        body = client.post("/recommend", json={"user_id": "u01", "k": 3}).json()
        assert {item["title"].split()[0] for item in body["items"]} == {"blue"}
        assert body["model"] == model
        told = client.post("/status", json={}).json()
        assert (told["refused_model"], told["registry"]) == (None, "ready")
    assert sorted(path.relative_to(bento) for path in bento.rglob("*")) == files


@contextmanager
def serving(bento: Path, python: Path, home: Home, folder: Path) -> Iterator[httpx.Client]:
    """`bentoml serve .` in the Bento's folder, with no more of this environment than it needs."""
    port, log, user = free_port(), folder / "server.log", folder / "user"
    user.mkdir()
    environment = {
        **{name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ},
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(user),
        "COLDSTART_HOME": str(home.root),
        "COLDSTART_OPEN": "1",
        "BENTOML_HOME": str(user / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [str(python), "-m", "bentoml", "serve", ".", "--host", "127.0.0.1", "--port"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, str(port)], cwd=bento, env=environment, stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_until_ready(client, server, log)
            yield client
    finally:
        server.terminate()
        server.wait(60)
