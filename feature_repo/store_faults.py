"""What the libraries of online stores raise when a store does not answer, as one error of ours."""

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from feature_repo.errors import StoreLost

LIBRARIES: Final = {
    "redis": ("redis.exceptions", ("RedisError",)),
    "psycopg": ("psycopg", ("OperationalError", "InterfaceError")),
    "psycopg_pool": ("psycopg_pool", ("PoolTimeout", "PoolClosed")),
    "sqlalchemy": ("sqlalchemy.exc", ("OperationalError", "TimeoutError")),
}
"""Library → module and names of its errors. One that was never imported has raised nothing."""


@contextmanager
def as_store_lost() -> Iterator[None]:
    """Raise StoreLost where the block fails because a store is away, locked, slow or full."""
    try:
        yield
    except (
        sqlite3.OperationalError,
        sqlite3.DatabaseError,
        ConnectionError,
        TimeoutError,
    ) as error:
        raise _lost(error) from error
    except Exception as error:
        if isinstance(error, _of_libraries()):
            raise _lost(error) from error
        raise


def _of_libraries() -> tuple[type[BaseException], ...]:
    found = []
    for module, names in LIBRARIES.values():
        loaded = sys.modules.get(module)
        found += [getattr(loaded, name) for name in names if hasattr(loaded, name)]
    return tuple(found)


def _lost(error: BaseException) -> StoreLost:
    return StoreLost(f"the online store does not answer: {type(error).__name__}: {error}")
