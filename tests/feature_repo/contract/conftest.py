"""The environments, each with its servers started here, or skipped with the reason."""

import importlib.util
import os
import shutil
from collections.abc import Iterator

import pytest

from benchmarks.servers import redis_server
from feature_repo.environment import ENVIRONMENT_VARIABLE
from feature_repo.home import REPOSITORY, Home
from feature_repo.store import Store
from tests.feature_repo.contract.servers import postgres_programs, postgres_server

SPARK_MASTERS = {
    "spark": os.environ.get("COLDSTART_SPARK", "local[2]"),
    "spark-processes": "local-cluster[2,1,1024]",
}
"""Threads of one process by default, or the master that is named; and two executors of one core
and 1,024 MB each, as processes of their own beside the driver's."""
ENVIRONMENTS = (
    "default",
    "redis",
    "postgres",
    *(pytest.param(name, marks=pytest.mark.slow) for name in SPARK_MASTERS),
)


@pytest.fixture(scope="module", params=ENVIRONMENTS)
def environment(request: pytest.FixtureRequest) -> Iterator[str]:
    """An environment's name; its YAML is chosen and what it needs is there."""
    name = request.param
    with pytest.MonkeyPatch.context() as patched:
        if name != "default":
            path = REPOSITORY / f"feature_store.{name.partition('-')[0]}.yaml"
            patched.setenv(ENVIRONMENT_VARIABLE, str(path))
        if name == "redis":
            if shutil.which("redis-server") is None:
                pytest.skip("redis-server is not installed")
            with redis_server() as address:
                assert address is not None
                patched.setenv("COLDSTART_REDIS", address)
                yield name
        elif name == "postgres":
            programs = postgres_programs()
            if programs is None:
                pytest.skip("PostgreSQL is not installed")
            if importlib.util.find_spec("psycopg") is None:
                pytest.skip("psycopg is not installed (extra `postgres`)")
            with postgres_server(programs) as variables:
                for variable, value in variables.items():
                    patched.setenv(variable, value)
                yield name
        elif name in SPARK_MASTERS:
            if shutil.which("java") is None:
                pytest.skip("Java is not installed")
            if importlib.util.find_spec("pyspark") is None:
                pytest.skip("pyspark is not installed (extra `spark`)")
            patched.setenv("COLDSTART_SPARK", SPARK_MASTERS[name])
            patched.setenv("SPARK_LOCAL_IP", os.environ.get("SPARK_LOCAL_IP", "127.0.0.1"))
            # An executor's folder is another: its workers find this package by an absolute path.
            patched.setenv("PYTHONPATH", str(REPOSITORY.parent), prepend=os.pathsep)
            yield name
            from pyspark.sql import SparkSession

            session = SparkSession.getActiveSession()
            if session is not None:
                session.stop()
        else:
            yield name


@pytest.fixture(scope="module")
def store(environment: str, tmp_path_factory: pytest.TempPathFactory) -> Store:
    """An empty, applied store of the environment."""
    home = Home(tmp_path_factory.mktemp("state"))
    store = Store(home)
    store.apply()
    return store
