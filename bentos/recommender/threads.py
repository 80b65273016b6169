"""How many processors one computation takes.

A request's products are small: dealt to several threads they take longer, and requests beside each
other take each other's. Encoding a batch of listings is large and gets all processors.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


def one_each() -> None:
    """Compute each request on the thread that answers it."""
    torch.set_num_threads(1)


@contextmanager
def all_processors() -> Iterator[None]:
    """For the length of a block; requests meanwhile may have several, too."""
    torch.set_num_threads(os.cpu_count() or 1)
    try:
        yield
    finally:
        one_each()
