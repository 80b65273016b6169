"""A real server answers throughout: another model, a corrupt one, and back, under requests."""

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from coldstart_models.artifacts import find_model
from coldstart_models.served_model import choose
from coldstart_models.siamese.files import NETWORK
from coldstart_models.training_job import train_job
from feature_repo.home import Home
from feature_repo.store import Store
from tests.bentos.real_shop import NOW, prepared
from tests.bentos.servers import PROJECT, served

pytestmark = pytest.mark.slow

ASKERS = 3
PATIENCE = 90.0


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = Home(tmp_path_factory.mktemp("shop") / "home")
    prepared(home)
    return home


class Load:
    """Requests from several threads until the block ends, and what was answered."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.models: Counter[str] = Counter()
        self.failed: list[str] = []
        self.slowest = 0.0
        self._over = threading.Event()

    def ask(self) -> None:
        body = {"user_id": "u00", "k": 5}
        with httpx.Client(base_url=self.url, timeout=30) as client:
            while not self._over.is_set():
                began = time.monotonic()
                try:
                    answer = client.post("/recommend", json=body)
                except httpx.HTTPError as error:
                    self.failed.append(repr(error))
                    continue
                self.slowest = max(self.slowest, time.monotonic() - began)
                if answer.status_code != 200 or len(answer.json()["items"]) != 5:
                    self.failed.append(answer.text)
                else:
                    self.models[answer.json()["model"]] += 1

    @contextmanager
    def going_on(self) -> Iterator["Load"]:
        threads = [threading.Thread(target=self.ask) for _ in range(ASKERS)]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in threads:
                thread.join(60)


def coldstart(*arguments: str, home: Home) -> str:
    environment = {**os.environ, "COLDSTART_HOME": str(home.root), "PYTHONPATH": str(PROJECT)}
    command = [sys.executable, "-m", "coldstart_models.cli", *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def eventually(holds: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, "it did not happen"
        time.sleep(0.1)


def test_no_request_fails_while_models_are_swapped_refused_and_rolled_back(
    home: Home, tmp_path: Path
) -> None:
    first = train_job(home=home, now=NOW, seed=0).tag
    Store(home).materialize()
    with served("bentos.recommender.serve", home=home, log=tmp_path / "server.log") as (client, _):

        def status() -> dict[str, str]:
            told: dict[str, str] = client.post("/status", json={}).json()
            return told

        def scores() -> list[float]:
            body = {"user_id": "u00", "item_ids": ["i40", "i41", "i42", "i43"]}
            return [one["score"] for one in client.post("/score", json=body).json()["scores"]]

        assert status()["model"] == first
        before = scores()
        second = train_job(home=home, now=NOW, seed=1).tag
        corrupt = train_job(home=home, now=NOW, seed=2).tag
        weights = find_model(home, tag=corrupt).path / NETWORK
        weights.write_bytes(weights.read_bytes()[:-100])

        with Load(str(client.base_url)).going_on() as load:
            eventually(lambda: load.models[first] > 20)
            assert f"serve {second}" in coldstart("models", "use", second, home=home)
            eventually(lambda: load.models[second] > 20)
            assert status()["model"] == second

            choose(home, tag=corrupt, now=NOW)  # past the command, which would refuse it
            eventually(lambda: status().get("refused_model") == corrupt)
            assert status()["model"] == second
            coldstart("models", "rollback", home=home)  # from the refused one
            eventually(lambda: status()["refused_model"] is None)
            assert status()["model"] == second

            coldstart("models", "rollback", home=home)
            eventually(lambda: status()["model"] == first)
            assert scores() == pytest.approx(before, abs=1e-4)
            after = load.models[first]
            eventually(lambda: load.models[first] > after + 20)

        assert load.failed == []
        assert set(load.models) == {first, second}
        assert load.slowest < 10
        metrics = client.get("/metrics").text
        assert 'coldstart_model_swaps_total{outcome="swapped"} 2.0' in metrics
        assert 'coldstart_model_swaps_total{outcome="refused"} 1.0' in metrics
