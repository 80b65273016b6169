"""What a start makes stays as long as the process: Python's collector need not look through it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

from coldstart_models.freed_memory import give_back


@contextmanager
def frozen_after() -> Iterator[None]:
    """Collect nothing within the block, once after it, and leave what is then there alone for good.

    Millions of labels and ids of a large catalogue are made in a row: looking through those that
    are there already, again and again, takes longer than making them.
    """
    gc.disable()
    try:
        yield
        give_back()
        gc.freeze()
    finally:
        gc.enable()
