"""Redis' own files, written anew: a deleted value stands in the append-only file, and in the last
snapshot, until the server writes them again.

Which of them a server keeps, it is asked: neither is touched that it does not keep.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis import Redis
from redis.exceptions import ResponseError

from feature_repo.errors import StoreLost

REWRITE_SECONDS: Final = 20.0
"""How long an erasure waits for the files of all servers together."""
LOOK_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class _File:
    """One of the two, as ``INFO persistence`` tells of it."""

    name: str
    command: str
    running: tuple[str, ...]
    """Fields that are 1 while it is being written or waits to be."""
    status: str
    """Field that says how the last writing ended."""
    put_off: str
    """What tells when it was written."""


LOG: Final = _File(
    "append-only file",
    "BGREWRITEAOF",
    ("aof_rewrite_in_progress", "aof_rewrite_scheduled"),
    "aof_last_bgrewrite_status",
    "aof_rewrite_scheduled and aof_rewrite_in_progress of INFO persistence tell when",
)
SNAPSHOT: Final = _File(
    "snapshot",
    "BGSAVE SCHEDULE",
    ("rdb_bgsave_in_progress",),
    "rdb_last_bgsave_status",
    "LASTSAVE tells when",
)


def write_anew(
    servers: Sequence[tuple[str, Redis]], *, seconds: float = REWRITE_SECONDS
) -> list[str]:
    """Have each server write the files it keeps anew, and wait for it.

    Args:
        servers: what each is called, and a client of it.

    Returns:
        What still holds deleted values, and until when: a sentence each. Empty where nothing does.

    Raises StoreLost where a server could not write, its disk being full perhaps.
    """
    left = []
    until = time.monotonic() + seconds
    for name, server in servers:
        for file in _kept(server):
            told = _written(server, file, until=until)
            left += [f"the {file.name} of {name} {told}"] if told else []
        replicas = int(_info(server, "replication").get("connected_slaves", 0))
        if replicas and not _in_cluster(server):
            left.append(
                f"{replicas} replica(s) of {name} keep files of their own until "
                "they write them anew; BGREWRITEAOF and BGSAVE there do so"
            )
    return left


def _kept(server: Redis) -> list[_File]:
    """The files that the server keeps."""
    about = _info(server, "persistence")
    files = [LOG] if int(about.get("aof_enabled", 0)) else []
    try:
        snapshots = bool(server.config_get("save").get("save"))
    except ResponseError:  # whoever runs the server keeps its settings to themselves
        snapshots = True
    return [*files, SNAPSHOT] if snapshots or int(about.get("rdb_saves", 0)) else files


def _written(server: Redis, file: _File, *, until: float) -> str | None:
    """Write a file anew; what there is to say of it where that is not done by then.

    One that was being written may hold what was deleted since it began: it is written once more.
    Where there is no time left for that, the server is to do so afterwards, which it promises of
    the other file alone.
    """
    while True:
        idle = _idle(server, until=until)
        try:
            server.execute_command(file.command)
        except ResponseError as error:
            if "progress" not in str(error):
                return f"was not written anew, the server refuses {file.command}: {error}"
            if time.monotonic() > until:
                return f"was not written anew, the server was busy; {file.command} does so"
            time.sleep(LOOK_SECONDS)
        else:
            break
    if not idle:
        return f"is written anew once the server has written what it writes now; {file.put_off}"
    if not _idle(server, until=until):
        field = file.running[0]
        return f"is still being written anew; {field} of INFO persistence tells until when"
    ended = _info(server, "persistence")[file.status]
    if ended != "ok":
        raise StoreLost(f"Redis could not write its {file.name} anew: it says {ended!r}")
    return None


def _idle(server: Redis, *, until: float) -> bool:
    """Whether the server writes none of the two by then."""
    while _busy(server):
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def _busy(server: Redis) -> bool:
    about = _info(server, "persistence")
    return any(int(about.get(field, 0)) for file in (LOG, SNAPSHOT) for field in file.running)


def _in_cluster(server: Redis) -> bool:
    return bool(int(_info(server, "cluster").get("cluster_enabled", 0)))


def _info(server: Redis, section: str) -> dict[str, Any]:
    told: dict[str, Any] = server.info(section)
    return told
