"""A Redis of the benchmark's own, on a free loopback port, for as long as it runs."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from tempfile import TemporaryDirectory

import redis


@contextmanager
def redis_server() -> Iterator[str | None]:
    """HOST:PORT of an empty server that keeps nothing on disk; None where it is not installed."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with TemporaryDirectory(prefix="coldstart-redis-") as folder:
        serving = subprocess.Popen(
            [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for(port, serving)
            yield f"127.0.0.1:{port}"
        finally:
            serving.terminate()
            serving.wait(timeout=30)


def wait_for(port: int, serving: "subprocess.Popen[bytes]", *, seconds: float = 20.0) -> None:
    """Return once this redis-server answers on the port. Raises RuntimeError where it does not, as
    where another has taken the port."""
    until = time.monotonic() + seconds
    with redis.Redis(port=port, socket_timeout=1) as client:
        while time.monotonic() < until and serving.poll() is None:
            with suppress(redis.RedisError):
                if client.info("server")["process_id"] == serving.pid:
                    return
            time.sleep(0.05)
    raise RuntimeError(f"redis-server does not answer on port {port}")
