"""One database in memory for a process's small queries: opening one takes longer than they do."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

import duckdb

_HELD = threading.Lock()


@contextmanager
def small_database() -> Iterator[duckdb.DuckDBPyConnection]:
    """The process's database, for one user at a time; rows and tables made in it go with the block.

    It runs on one thread: for a few keys' events more would cost more. What was prepared stays.
    """
    with _HELD:
        connection = _opened(os.getpid())
        connection.begin()
        try:
            yield connection
        finally:
            connection.rollback()


@lru_cache(maxsize=1)
def _opened(process: int) -> duckdb.DuckDBPyConnection:
    """A database of this process; one that was there before a fork is not used."""
    del process
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute("SET threads = 1")
    return connection
