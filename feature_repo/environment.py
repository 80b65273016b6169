"""Which stores are used: one YAML of Feast's beside this file, chosen as Feast chooses it.

``feature_store.yaml`` is the embedded default; ``FEAST_FS_YAML_FILE_PATH`` names another, for
plain Feast and `coldstart` alike. docs/stores.md describes them. Feast expands ``${NAME}`` of the
process's environment in the file, and leaves a variable that is not set as it stands.
"""

import os
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import yaml  # type: ignore[import-untyped]

from feature_repo.errors import StoreError
from feature_repo.home import REPOSITORY, Home

ENVIRONMENT_VARIABLE: Final = "FEAST_FS_YAML_FILE_PATH"
"""Feast's own name for it."""
OURS: Final = "feature_repo.local_stores."
"""Class path of the stores that stand under the state folder."""

DUCKDB: Final = "duckdb"
POSTGRES: Final = "postgres"
SPARK: Final = "spark"
OFFLINE: Final = (DUCKDB, POSTGRES, SPARK)
"""Offline stores that pass the contract suite and have sources in the definitions."""


@dataclass(frozen=True)
class Environment:
    """One YAML, expanded."""

    path: Path

    @classmethod
    def current(cls) -> "Environment":
        """The file that the variable names, or the embedded default."""
        named = os.environ.get(ENVIRONMENT_VARIABLE)
        path = Path(named) if named else REPOSITORY / "feature_store.yaml"
        if not path.is_file():
            raise StoreError(
                f"{ENVIRONMENT_VARIABLE} names {path}, which is not a file; the environments are "
                f"{', '.join(sorted(one.name for one in REPOSITORY.glob('feature_store*.yaml')))} "
                f"in {REPOSITORY}"
            )
        return cls(path)

    @cached_property
    def values(self) -> dict[str, Any]:
        """What the file says. Raises StoreError where a variable of it is not set."""
        text = os.path.expandvars(self.path.read_text(encoding="utf-8"))
        values = yaml.safe_load(text)
        unset = sorted(set(re.findall(r"\$\{(\w+)\}", yaml.safe_dump(values))))
        if unset:
            raise StoreError(
                f"{self.path.name} needs the environment variable(s) {', '.join(unset)}, which "
                "are not set; docs/stores.md says what they hold"
            )
        return dict(values)

    @property
    def offline(self) -> str:
        """The offline store's type. Raises StoreError for one that is not supported."""
        kind = str(self.values["offline_store"]["type"])
        if kind not in OFFLINE:
            raise StoreError(
                f"{self.path.name} asks for the offline store {kind!r}; "
                f"features have sources for {', '.join(OFFLINE)}"
            )
        return kind

    def registry_ready(self, home: Home) -> bool:
        """Whether the registry's file is there; true where it stands elsewhere: Feast asks it."""
        file = self.registry_file(home)
        return file is None or file.exists()

    def online_ready(self, home: Home) -> bool:
        """Whether the online store's file is there; true where it stands elsewhere."""
        file = self.online_file(home)
        return file is None or file.exists()

    def registry_file(self, home: Home) -> Path | None:
        """The registry under the state folder; None where it stands elsewhere."""
        kind = str(self.values["registry"].get("registry_store_type", ""))
        return home.registry if kind.startswith(OURS) else None

    def online_file(self, home: Home) -> Path | None:
        """The online store as a file, by default of the state folder; None where it is none."""
        store = self.values["online_store"]
        if not str(store["type"]).startswith(OURS):
            return None
        return home.root / str(store.get("path", home.online_store.name))

    def online_shared(self, home: Home) -> bool:
        """Whether other state folders may have the same online store: it is not in this one."""
        file = self.online_file(home)
        return file is None or not file.resolve().is_relative_to(home.root.resolve())
