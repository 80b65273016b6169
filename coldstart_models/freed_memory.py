"""Memory that was freed goes back to the system between the stages of a long job.

The C library keeps what small tensors and arrays of one stage took, in pieces that the next stage's
larger ones do not fit into, so that a process would grow from stage to stage.
"""

import ctypes
import gc
import sys

import pyarrow as pa


def give_back() -> None:
    """Collect what nothing refers to but itself, which takes a while, and `trim`."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    trim()


def trim() -> None:
    """Return what was freed where the C library can (glibc); takes about a millisecond."""
    if sys.platform == "linux":
        found = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if found is not None:
            found(ctypes.c_size_t(0))
