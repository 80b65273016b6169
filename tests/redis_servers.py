"""A real Redis server on a free loopback port, for one test or some."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import redis

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
    client, deadline = redis.Redis(port=port, socket_timeout=1), time.monotonic() + SECONDS
    while True:
        try:
            ours = client.info("server")["process_id"] == process.pid
        except redis.RedisError:
            ours = False
        if ours:
            client.close()
            return process
        if time.monotonic() > deadline or process.poll() is not None:
            process.kill()
            raise RuntimeError((folder / "redis.log").read_text())
        time.sleep(0.02)


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
