"""Files that a service is about to read, brought into the system's memory meanwhile.

``python -m feature_repo.page_cache FILE…`` reads them to nowhere and ends. It imports next to
nothing and copies nothing, so that gigabytes come from the disk while the service is still
importing its libraries.
"""

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

CHUNK: Final = 1 << 24
"""Bytes that are asked for in one call."""


def read_beside(paths: Sequence[Path]) -> subprocess.Popen[bytes] | None:
    """Begin to read files, in a process of its own that nobody waits for; None without any."""
    if not paths:
        return None
    command = [sys.executable, "-m", __name__, *map(str, paths)]
    return subprocess.Popen(
        command,
        cwd=Path(__file__).resolve().parents[1],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def read_through(path: Path) -> int:
    """Have the system read a whole file; how many bytes it had."""
    offset = 0
    with path.open("rb") as file, open(os.devnull, "wb") as nowhere:
        while sent := os.sendfile(nowhere.fileno(), file.fileno(), offset, CHUNK):
            offset += sent
    return offset


if __name__ == "__main__":
    for named in sys.argv[1:]:
        with suppress(OSError):  # who opens it next is told what is wrong with it
            read_through(Path(named))
