"""The YAML that is chosen, and what is said of one that cannot be used."""

import pytest

from feature_repo.environment import DUCKDB, ENVIRONMENT_VARIABLE, POSTGRES, SPARK, Environment
from feature_repo.errors import StoreError
from feature_repo.home import REPOSITORY, Home

VARIABLES = {
    "feature_store.yaml": (),
    "feature_store.redis.yaml": ("COLDSTART_REDIS",),
    "feature_store.postgres.yaml": ("PGHOST", "PGPORT", "PGUSER", "PGPASSWORD", "PGDATABASE"),
    "feature_store.spark.yaml": ("COLDSTART_SPARK",),
}


def test_there_is_a_row_of_the_handbook_and_a_test_for_every_environment():
    names = {path.name for path in REPOSITORY.glob("feature_store*.yaml")}
    assert names == set(VARIABLES)
    handbook = (REPOSITORY.parent / "docs" / "stores.md").read_text(encoding="utf-8")
    assert all(f"| `{name}` |" in handbook for name in names)


@pytest.mark.parametrize("name", [name for name, needed in VARIABLES.items() if needed])
def test_variables_that_are_not_set_are_named(name, monkeypatch):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(REPOSITORY / name))
    first, *others = VARIABLES[name]
    monkeypatch.delenv(first, raising=False)
    for variable in others:
        monkeypatch.setenv(variable, "5432")
    with pytest.raises(StoreError, match=rf"variable\(s\) {first}, which are not set"):
        _ = Environment.current().values


def test_the_environments_tell_their_offline_store_and_which_files_are_in_the_state_folder(
    monkeypatch, tmp_path
):
    told = {}
    for name, needed in VARIABLES.items():
        monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(REPOSITORY / name))
        for variable in needed:
            monkeypatch.setenv(variable, "5432")
        environment, home = Environment.current(), Home(tmp_path)
        files = (environment.registry_file(home), environment.online_file(home))
        told[name] = (environment.offline, *(file and file.name for file in files))
    assert told == {
        "feature_store.yaml": (DUCKDB, "registry.db", "online_store.db"),
        "feature_store.redis.yaml": (DUCKDB, "registry.db", None),
        "feature_store.postgres.yaml": (POSTGRES, None, None),
        "feature_store.spark.yaml": (SPARK, "registry.db", "online_store.db"),
    }


def test_the_embedded_default_is_chosen_without_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv(ENVIRONMENT_VARIABLE, raising=False)
    assert Environment.current().path == REPOSITORY / "feature_store.yaml"
    assert not Environment.current().registry_ready(Home(tmp_path))


def test_a_file_that_is_not_there_and_an_offline_store_without_sources_are_refused(
    monkeypatch, tmp_path
):
    monkeypatch.setenv(ENVIRONMENT_VARIABLE, str(tmp_path / "absent.yaml"))
    with pytest.raises(StoreError, match=r"feature_store\.redis\.yaml"):
        Environment.current()
    path = tmp_path / "dask.yaml"
    path.write_text("offline_store:\n  type: file\n", encoding="utf-8")
    with pytest.raises(StoreError, match="'file'"):
        _ = Environment(path).offline
