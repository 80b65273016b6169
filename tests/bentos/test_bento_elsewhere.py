"""A Bento in its own folder, in an environment made of its own requirements and of nothing else."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from coldstart_models.artifacts import find_model
from feature_repo.home import Home
from tests.bentos.servers import PROJECT
from tests.bentos.servers import _free_port as free_port
from tests.bentos.servers import _wait as wait_for
from tests.bentos.test_bento import run
from tests.bentos.test_swapping_under_load import NOW, Store, train_job
from tests.bentos.test_swapping_under_load import home as home

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

UV = PROJECT / ".tools" / "bin" / "uv"


def environment_of(requirements: Path, folder: Path, *, torch: str) -> Path:
    """A new virtual environment of the requirements; its python. Skips where no index has them."""
    subprocess.run([str(UV), "venv", "--python", sys.executable, str(folder)], check=True)
    python = folder / "bin" / "python"
    command = [str(UV), "pip", "install", "--python", str(python), "-r", str(requirements)]
    told = {**os.environ, **({"UV_TORCH_BACKEND": "cpu"} if torch == "cpu" else {})}
    done = subprocess.run(command, env=told, capture_output=True, text=True, timeout=1200)
    if done.returncode and ("dns error" in done.stderr or "Failed to fetch" in done.stderr):
        pytest.skip(f"no package index has torch for {torch}: {done.stderr.strip()[-300:]}")
    assert done.returncode == 0, done.stderr
    return python


@pytest.mark.parametrize("torch", ["cpu", "cuda"])
def test_a_bento_serves_from_its_own_folder_in_an_environment_of_its_own(
    home: Home,
    tmp_path: Path,
    torch: str,
) -> None:
    if not UV.exists():
        pytest.skip(f"there is no {UV}: make setup installs it")
    tag = train_job(home=home, now=NOW, seed=0).tag
    Store(home).materialize()
    built = run("bentos.recommender.build", "--torch", torch, "--json", home=home)
    assert built.returncode == 0, built.stderr
    bento = tmp_path / "bento"  # away from the store, as an image has it
    shutil.copytree(json.loads(built.stdout)["folder"], bento)
    stored = find_model(home, tag=tag)
    name, _, version = tag.partition(":")
    shutil.move(stored.path, bento / "models" / name / version)  # the state folder lacks it now
    python = environment_of(
        bento / "env" / "python" / "requirements.txt", tmp_path / "venv", torch=torch
    )
    files = sorted(path.relative_to(bento) for path in bento.rglob("*"))

    port, log = free_port(), tmp_path / "server.log"
    kept = {name: os.environ[name] for name in ("LANG", "TZ") if name in os.environ}
    environment = {
        **kept,
        "PATH": f"{python.parent}:/usr/bin:/bin",
        "HOME": str(tmp_path / "user"),
        "COLDSTART_HOME": str(home.root),
        "COLDSTART_OPEN": "1",
        "BENTOML_HOME": str(tmp_path / "user" / "bentoml"),
        "PYTHONPATH": "",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    (tmp_path / "user").mkdir()
    command = [str(python), "-m", "bentoml", "serve", ".", "--host", "127.0.0.1", "--port"]
    with log.open("wb") as output:
        server = subprocess.Popen(
            [*command, str(port)], cwd=bento, env=environment, stdout=output, stderr=output
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            wait_for(client, server, log)
            body = client.post("/recommend", json={"user_id": "u01", "k": 3}).json()
            assert {item["title"].split()[0] for item in body["items"]} == {"blue"}
            assert body["model"] == tag
            told = client.post("/status", json={}).json()
            assert (told["refused_model"], told["registry"]) == (None, "ready")
    finally:
        server.terminate()
        server.wait(60)
    assert sorted(path.relative_to(bento) for path in bento.rglob("*")) == files
