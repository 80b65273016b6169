"""A real Redis server on a free loopback port, for one test or some."""

import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from benchmarks.servers import wait_for

SECONDS = 20.0


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """Start redis-server in the folder and wait until it answers; skips where there is none.

    Raises RuntimeError where it does not run, as where another has taken the port.
    """
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("no redis-server on PATH; on Debian: apt-get install redis-server")
    folder.mkdir(parents=True, exist_ok=True)
    options = ["--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
    options += ["--save", "", "--appendonly", "yes", "--daemonize", "no"]
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen([program, *options], stdout=log, stderr=log)
    try:
        wait_for(port, process, seconds=SECONDS)
    except RuntimeError as error:
        process.kill()
        raise RuntimeError((folder / "redis.log").read_text()) from error
    return process


def start_anywhere(folder: Path) -> "tuple[int, subprocess.Popen[bytes]]":
    """Start redis-server on a free port, on another one where somebody else was faster."""
    for _ in range(2):
        port = free_port()
        with suppress(RuntimeError):
            return port, start(folder, port)
    port = free_port()
    return port, start(folder, port)


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The URL of a server that ends with the block."""
    port, process = start_anywhere(folder)
    try:
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait(SECONDS)
