"""PostgreSQL for tests: a cluster of their own in a temporary folder, on a free loopback port."""

import os
import pwd
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

USER = "coldstart"
PASSWORD = "only-on-loopback"


def postgres_programs() -> Path | None:
    """The folder POSTGRES_BIN, that of Debian's newest PostgreSQL, or that of `initdb`."""
    if chosen := os.environ.get("POSTGRES_BIN"):
        return Path(chosen)
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_version)
    named = shutil.which("initdb")
    return found[-1].parent if found else Path(named).parent if named else None


def _version(path: Path) -> int:
    return int(path.parts[-3])


@contextmanager
def postgres_server(programs: Path) -> Iterator[dict[str, str]]:
    """The variables that lead to an empty database; the server ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with TemporaryDirectory(prefix="coldstart-postgres-") as name:
        folder, runs_as = Path(name), _other_user()
        password = folder / "password"
        password.write_text(PASSWORD, encoding="utf-8")
        if runs_as:
            for path in (folder, password):
                shutil.chown(path, runs_as["user"])
        data = str(folder / "data")
        _run(
            [
                programs / "initdb",
                *("-D", data, "-U", USER, "--pwfile", password),
                *("--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"),
            ],
            folder=folder,
            runs_as=runs_as,
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
        control = [programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log"]
        _run([*control, "-o", options, "start"], folder=folder, runs_as=runs_as)
        try:
            yield {
                "PGHOST": "127.0.0.1",
                "PGPORT": port,
                "PGUSER": USER,
                "PGPASSWORD": PASSWORD,
                "PGDATABASE": "postgres",
            }
        finally:
            _run([*control, "-m", "immediate", "stop"], folder=folder, runs_as=runs_as)


def _run(command: list[Any], *, folder: Path, runs_as: dict[str, Any]) -> None:
    """Raise AssertionError with what the program said where it fails.

    Into a file: a server that outlives `pg_ctl` would keep a pipe open.
    """
    with TemporaryFile() as said:
        done = subprocess.run(
            [str(part) for part in command], cwd=folder, stdout=said, stderr=said, **runs_as
        )
        said.seek(0)
        assert done.returncode == 0, said.read().decode(errors="replace")


def _other_user() -> dict[str, Any]:
    """PostgreSQL refuses to run as root: the user that it runs as then."""
    if os.geteuid() != 0:
        return {}
    known = {entry.pw_name for entry in pwd.getpwall()}
    name = "postgres" if "postgres" in known else "nobody"
    return {"user": name, "group": pwd.getpwnam(name).pw_gid, "extra_groups": []}
