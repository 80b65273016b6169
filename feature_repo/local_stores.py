"""The local registry and online store of Feast, found under the state folder.

`feature_store.yaml` names these classes, so that plain Feast and `coldstart` resolve a
relative path alike: under ``COLDSTART_HOME``, or ``feature_repo/data`` where it is not set.
Absolute paths are taken as they are. Feast instantiates them; nothing else imports them.
"""

import os
import uuid
from pathlib import Path
from typing import Literal

from feast.infra.online_stores.sqlite import SqliteOnlineStore, SqliteOnlineStoreConfig
from feast.infra.registry.file import FileRegistryStore
from feast.protos.feast.core.Registry_pb2 import Registry
from feast.repo_config import RegistryConfig, RepoConfig
from feast.utils import _utc_now

from feature_repo.home import Home


def under_home(path: str) -> Path:
    """The path itself if absolute, otherwise the path under the current state folder."""
    return Home.current().root / path


class HomeRegistryStore(FileRegistryStore):  # type: ignore[misc]
    """A registry file under the state folder, replaced atomically."""

    def __init__(self, registry_config: RegistryConfig, repo_path: Path) -> None:
        super().__init__(registry_config, repo_path)
        self._filepath = under_home(registry_config.path)

    def _write_registry(self, registry_proto: Registry) -> None:
        registry_proto.version_id = str(uuid.uuid4())
        registry_proto.last_updated.FromDatetime(_utc_now())
        self._filepath.parent.mkdir(parents=True, exist_ok=True)
        partial = self._filepath.with_name(f".{self._filepath.name}.{os.getpid()}.partial")
        partial.write_bytes(registry_proto.SerializeToString())
        os.replace(partial, self._filepath)


class HomeSqliteOnlineStoreConfig(SqliteOnlineStoreConfig):  # type: ignore[misc]
    """SQLite online store whose relative path stands under the state folder."""

    type: Literal["feature_repo.local_stores.HomeSqliteOnlineStore"] = (
        "feature_repo.local_stores.HomeSqliteOnlineStore"
    )
    path: str = "online_store.db"


class HomeSqliteOnlineStore(SqliteOnlineStore):  # type: ignore[misc]
    """Feast's SQLite online store under the state folder."""

    @staticmethod
    def _get_db_path(config: RepoConfig) -> str:
        path = under_home(config.online_store.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        return str(path)
