"""Memory that was freed goes back to the system between the stages of a long job.

The C library keeps what small tensors and arrays of one stage took, in pieces that the next stage's
larger ones do not fit into, so that a process would grow from stage to stage.
"""

import ctypes
import gc
import sys

import pyarrow as pa


def give_back() -> None:
    """Collect what nothing refers to, and return it where the C library can (glibc)."""
    gc.collect()
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(ctypes.c_size_t(0))
