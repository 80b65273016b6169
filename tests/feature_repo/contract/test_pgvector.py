"""Vectors searched in PostgreSQL by Feast's own call, where the server has pgvector."""

import importlib.util
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.home import HOME_VARIABLE, REPOSITORY, Home
from feature_repo.store import PushTo, Store
from tests.feature_repo.contract.servers import postgres_programs, postgres_server
from tests.feature_repo.samples import NOW


def has_pgvector(programs: Path) -> bool:
    """Whether the extension lies beside the programs, as Debian or a bundle puts it."""
    share = [programs.parent / "share", Path("/usr/share/postgresql") / programs.parts[-2]]
    return any(next(path.rglob("extension/vector.control"), None) for path in share)


@pytest.fixture
def home(tmp_path, monkeypatch):
    programs = postgres_programs()
    if programs is None or importlib.util.find_spec("psycopg") is None:
        pytest.skip("PostgreSQL or psycopg (extra `postgres`) is not installed")
    if not has_pgvector(programs):
        pytest.skip("this PostgreSQL has no extension pgvector")
    text = (REPOSITORY / "feature_store.postgres.yaml").read_text(encoding="utf-8")
    environment = yaml.safe_load(text)
    environment["online_store"]["vector_enabled"] = True
    path = tmp_path / "pgvector.yaml"
    path.write_text(yaml.safe_dump(environment), encoding="utf-8")
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(path))
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    with postgres_server(programs) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield Home(tmp_path)


def frame(prefix, matrix):
    return pd.DataFrame(
        {
            "item_id": [f"{prefix}{n}" for n in range(len(matrix))],
            "vector": list(matrix),
            "model": "tower:1",
            "event_timestamp": pd.Timestamp("2024-01-01", tz="UTC"),
        }
    )


def test_the_nearest_of_materialized_and_pushed_vectors_are_found(home):
    from feast import FeatureStore

    store = Store(home)
    store.apply()
    matrix = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
    store.replace("item_vector", frame("m", matrix[:20]), now=NOW)
    store.materialize(views=["item_vector"])
    store.push("item_vector", frame("p", matrix[20:]), now=NOW, to=PushTo.ONLINE)
    empty = frame("empty", np.zeros((1, 0), np.float32))
    store.push("item_vector", empty, now=NOW, to=PushTo.ONLINE)
    asked = matrix[25] + np.float32(0.01)
    feast = FeatureStore(fs_yaml_file=Path(home.root / "pgvector.yaml"))
    found = feast.retrieve_online_documents_v2(
        features=["item_vector:vector"], query=asked.tolist(), top_k=3, distance_metric="L2"
    ).to_dict()
    ids = [f"m{n}" for n in range(20)] + [f"p{n}" for n in range(10)]
    nearest = np.argsort(np.linalg.norm(matrix - asked, axis=1))[:3]
    assert found["item_id"] == [ids[row] for row in nearest]
    # Feast 0.67 gives the other columns in the order of the ids, not of the distances.
    (row,) = store.online(["item_vector:vector"], [{"item_id": found["item_id"][0]}])
    np.testing.assert_array_equal(np.asarray(row["item_vector__vector"], np.float32), matrix[25])
