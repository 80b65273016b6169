"""The benchmark of stores measures the ways it names, on what it wrote itself."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import materialize
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.home import HOME_VARIABLE


@pytest.fixture(autouse=True)
def own_environment(monkeypatch):
    for name in (ENVIRONMENT_VARIABLE, HOME_VARIABLE):
        monkeypatch.setenv(name, "set anew by every run")


def test_every_way_into_sqlite_is_timed_and_checked(tmp_path: Path):
    table = tmp_path / "vectors.parquet"
    materialize.write_vectors(table, rows=60, width=8)
    assert pq.read_metadata(table).num_rows == 60
    runs = materialize.sqlite_runs(table, tmp_path, repeats=1)
    assert set(runs) == {materialize.STOCK, materialize.OURS, materialize.FLOOR}
    assert all(run.seconds > 0 for ways in runs.values() for run in ways)


def test_what_a_service_reads_is_timed(tmp_path: Path):
    told = materialize.serving_runs(tmp_path, items=2_000, width=4)
    assert len(told) == 6
