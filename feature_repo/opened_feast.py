"""Feast's own store as `Store` opens it: paths of the state folder, a short push, no notices.

Feast takes seconds to import, so it is imported when a store is opened.
"""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa

from feature_repo.environment import SPARK, Environment
from feature_repo.home import REPOSITORY, Home
from feature_repo.offline_tables import feature_table

if TYPE_CHECKING:
    from feast.repo_config import RepoConfig


def open_feast(home: Home, environment: Environment) -> Any:
    """Feast's store on a state folder, with the stores that the environment names."""
    from feast.repo_config import load_repo_config

    if environment.offline == SPARK:  # the workers run the interpreter that runs this
        os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    config = load_repo_config(REPOSITORY, environment.path)
    if environment.registry_file(home) is not None:
        config.registry.path = str(home.root / config.registry.path)
    if environment.online_file(home) is not None:
        config.online_store.path = str(home.root / config.online_store.path)
    store = _pushing_store(config)
    # Another process that materializes must not stop this one from serving; the
    # configuration key of the same effect warns that it is meant for SQL registries.
    store.registry.serve_features_while_materializing = True
    return store


def _pushing_store(config: "RepoConfig") -> Any:
    """Feast's store, with a push that neither reads the registry anew nor makes Python values.

    After every push Feast reads the registry's file to look for feature services that are to be
    computed beforehand. None of ours is, and all that was decoded of the registry would be lost:
    most of a push's time. Most of the rest went into a Python object and a message of each value.
    """
    from feast import FeatureStore

    from feature_repo.wire_rows import wire_rows

    class PushingStore(FeatureStore):
        def _precompute_for_push(self, feature_view_name: str, df: pd.DataFrame) -> None:
            del feature_view_name, df

        def push_rows(self, push_source_name: str, rows: pa.Table) -> None:
            """Bring rows of a feature table online in every view of the push source."""
            online = self._get_provider().online_store
            if not hasattr(online, "write_wire_rows"):
                self.push(push_source_name, rows.to_pandas())
                return
            for view in self._fvs_for_push_source_or_raise(push_source_name, True):
                made = wire_rows(rows, table=feature_table(view.name))
                online.write_wire_rows(self.config, view, made)

    return PushingStore(config=config)


@contextmanager
def without_notices() -> Iterator[None]:
    """Keep Feast's notices about itself and its libraries off the screen and out of `--json`."""
    with warnings.catch_warnings(), redirect_stdout(sys.stderr):
        warnings.filterwarnings("ignore", r"The spark .* is an experimental feature")
        warnings.filterwarnings("ignore", "On demand feature view is an experimental feature")
        warnings.filterwarnings("ignore", r"fetch_arrow_table\(\) is deprecated")
        yield
