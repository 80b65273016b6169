"""How many processors one computation takes, and how soon Python's threads take turns.

A request's products are small: dealt to several threads they take longer, and requests beside each
other take each other's. Encoding a batch of listings is large and gets all processors.
"""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

QUICK_TURNS: Final = 0.0002
"""Seconds."""


def take_turns_quickly() -> float:
    """Let a thread that waits for Python's lock have it soon; returns how long a turn was before.

    A start imports on one thread and multiplies on another. By default each of many thousand small
    products waits up to five milliseconds for the imports' turn to end, longer than it takes.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, QUICK_TURNS))
    return before


def one_each() -> None:
    """Compute each request on the thread that answers it."""
    import torch

    torch.set_num_threads(1)


@contextmanager
def all_processors() -> Iterator[None]:
    """For the length of a block, and this thread alone.

    `torch.set_num_threads` also sets what every thread begins with that first computes later, and
    that one keeps it: so the default is set back from another thread, which leaves this one's.
    """
    import torch

    torch.get_num_threads()  # else this thread's first computation takes the default, not its own
    torch.set_num_threads(os.cpu_count() or 1)
    other = threading.Thread(target=one_each, name="coldstart-one-each")
    other.start()
    other.join()
    try:
        yield
    finally:
        one_each()
