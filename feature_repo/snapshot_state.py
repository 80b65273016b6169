"""Which version of a vector snapshot is to be read: what its ``current.json`` says.

It imports next to nothing, so that a service can tell which files it will read before it imports
what reads them (`vector_snapshot`).
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from feature_repo.home import Home
from validation.whole_files import replacing

log = logging.getLogger(__name__)

CURRENT: Final = "current.json"


@dataclass(frozen=True, slots=True)
class SnapshotState:
    """What ``current.json`` says."""

    version: int
    rows: int
    width: int
    patches: int
    table: str
    """State of the offline table: its file's number, size and time."""
    checksums: dict[str, str] = field(default_factory=dict)
    """File of the version → size and CRC-32; none of a version by an earlier release."""

    @property
    def folder(self) -> str:
        return f"v{self.version:06d}"

    @property
    def name(self) -> str:
        """Such as ``3.1``: the first patch of the third version."""
        return f"{self.version}.{self.patches}"


def table_state(path: Path) -> str:
    """Changes whenever a table is written, as each write makes a file of its own."""
    found = path.resolve().stat()
    return f"{found.st_ino}-{found.st_size}-{found.st_mtime_ns}"


def snapshot_state(home: Home, view: str) -> SnapshotState | None:
    """The snapshot that mirrors the view's offline table as it is; None without one."""
    current, table = home.vector_snapshots(view) / CURRENT, home.feature_table(view)
    if not current.exists() or not table.exists():
        return None
    try:
        state = SnapshotState(**json.loads(current.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        log.warning("%s is torn, the table itself is read: %s", current, error)
        return None
    return state if state.table == table_state(table) else None


def last_version(folder: Path) -> int:
    """Number of the newest version's folder; 0 without one."""
    return max((int(path.name[1:]) for path in folder.glob("v[0-9]*")), default=0)


def name_current(state: SnapshotState, folder: Path) -> None:
    """Have a version of the folder read from now on, by one atomic rename."""
    values: Mapping[str, Any] = asdict(state)
    with replacing(folder / CURRENT) as partial:
        partial.write_text(json.dumps(values) + "\n", encoding="utf-8")
