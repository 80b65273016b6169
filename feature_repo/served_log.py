"""A sample of what was served, with the features it was made of, for `coldstart skew`.

One JSON object a line in ``served/requests.jsonl``. A full file becomes ``requests.1.jsonl`` and
so on; the oldest goes. Ids stand there as in the event log and the online store; what a visitor
sent with a request does not stand there. Only the owner of the process may read the files.
"""

import math
import threading
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np

from feature_repo import rotating_lines
from feature_repo.errors import JobError
from feature_repo.home import Home

CURRENT: Final = "requests.jsonl"
FILE_BYTES: Final = 16 * 1024 * 1024
FILES: Final = 8
"""So many are kept; with `FILE_BYTES` this bounds the disk to 128 MiB."""

KIND: Final = "served request"


@dataclass(frozen=True, slots=True)
class Served:
    """The features of one entity as one request read them."""

    served_at: datetime
    endpoint: str
    view: str
    key: str
    features: Mapping[str, Any]
    """Feature → value; None where the online store knew nothing."""


class ServedLog:
    """Writes the sample of one process. Safe to share between threads."""

    def __init__(self, home: Home, *, share: float) -> None:
        if not 0.0 <= share <= 1.0:
            raise JobError(f"the share of requests to keep is {share}, expected 0 to 1")
        self._path, self._share = home.served / CURRENT, share
        self._lock = threading.Lock()

    def keeps(self, key: str, moment: datetime) -> bool:
        """Whether this request is in the sample; the same answer for the same request."""
        drawn = zlib.crc32(f"{key}\x1f{moment.isoformat()}".encode()) / 2**32
        return drawn < self._share

    def keep(self, served: Served) -> None:
        """Add a request's entity, if it is in the sample."""
        if not self.keeps(served.key, served.served_at):
            return
        told = {
            "served_at": served.served_at.astimezone(UTC).isoformat(),
            "endpoint": served.endpoint,
            "view": served.view,
            "key": served.key,
            "features": {name: _plain(value) for name, value in served.features.items()},
        }
        with self._lock:
            rotating_lines.append(self._path, told, file_bytes=FILE_BYTES, files=FILES)


def read_served(home: Home, *, since: datetime | None = None) -> Iterator[Served]:
    """The sample, oldest first. Raises JobError for a line that is not one of ours."""
    path = home.served / CURRENT
    for file, line, told in rotating_lines.read(path, files=FILES, kind=KIND):
        try:
            served = Served(
                datetime.fromisoformat(told["served_at"]),
                told["endpoint"],
                told["view"],
                told["key"],
                told["features"],
            )
        except (ValueError, KeyError, TypeError) as error:
            raise rotating_lines.not_one(file, line, KIND, error) from error
        if since is None or served.served_at >= since:
            yield served


def _plain(value: Any) -> Any:
    """As JSON: arrays are lists, and NaN, which it has not, is null, as absent is."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value
