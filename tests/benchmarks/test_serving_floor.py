"""The floor answers with as little of Bento around it as the service has."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from benchmarks.serving_floor import FOLDER_VARIABLE
from benchmarks.serving_processes import PROJECT

ASK = """
import json, logging
import redis
from opentelemetry import trace
from starlette.testclient import TestClient

lines, spans = [], []

class Lines(logging.Handler):
    def emit(self, record):
        lines.append(record.getMessage())

class Redis:
    def __init__(self, **_):
        pass

    def hgetall(self, key):
        spans.append(trace.get_current_span().get_span_context().is_valid)
        return {b"key": key}

redis.Redis = Redis
from benchmarks.serving_floor import Floor

logging.getLogger("bentoml.access").addHandler(Lines())
logging.getLogger("bentoml.access").setLevel(logging.INFO)
with TestClient(Floor.to_asgi(), base_url="http://test") as client:
    answer = client.post("/recommend", json={"user_id": "u", "k": 2}).json()
print(json.dumps({"answer": answer, "lines": lines, "spans": spans}))
"""
"""In a process of its own: Bento's settings and metrics are one to a process."""


def test_the_floor_answers_the_best_without_a_span_and_without_an_access_line(
    tmp_path: Path,
) -> None:
    np.save(tmp_path / "seen.npy", np.array([[1.0, 0.0], [0.0, 1.0]], np.float32))
    np.save(tmp_path / "offered.npy", np.array([[1, 1], [3, 1], [0, 3]], np.float32))
    np.save(tmp_path / "item_ids.npy", np.array(["a", "b", "c"]))
    (tmp_path / "key").write_bytes(b"u")
    environment = {
        **os.environ,
        FOLDER_VARIABLE: str(tmp_path),
        "COLDSTART_REDIS": "nowhere:1",
        "BENTOML_HOME": str(tmp_path / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, "-c", ASK]
    told = subprocess.run(
        command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=True
    )
    found = json.loads(told.stdout.strip().splitlines()[-1])
    assert [item["item_id"] for item in found["answer"]["items"]] == ["b", "c"]
    assert found["spans"] == [False]
    assert found["lines"] == []
