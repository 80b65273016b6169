"""Feast without the checks of types that it compiles anew in every process.

Its classes are decorated with `typeguard.typechecked`, which parses and compiles the source of each
of their methods: nearly half of what importing Feast takes, and a start of the service, or a
command, waits for it. Typeguard itself leaves them out under ``python -O`` alone, which takes
assertions away as well. `feast apply` imports Feast by itself and keeps them: what people define is
checked there.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def unchecked() -> Iterator[None]:
    """What is imported within the block keeps its functions as they were written."""
    import typeguard

    checked = typeguard.typechecked
    typeguard.typechecked = _as_written
    try:
        yield
    finally:
        typeguard.typechecked = checked


def _as_written(target: Any = None, **options: Any) -> Any:
    """Stands in for `typeguard.typechecked`, called with what it decorates or with options."""
    if target is not None:
        return target
    decorate: Callable[[Any], Any] = _as_written
    return decorate
