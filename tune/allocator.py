"""Has the C library give freed memory back to the system, so that a process holds what it uses."""

import ctypes
import sys

THRESHOLD = 1 << 20
"""Bytes from which a block is a mapping of its own, which goes when it is freed."""
_M_MMAP_THRESHOLD = -3


def give_back() -> bool:
    """Once, before anything large is allocated. Returns whether this system's library can be told.

    glibc by itself raises the threshold to 32 MB and keeps the holes that activations leave: a training's
    peak is then up to half again as high. The price is pages that are mapped anew, some time of a CPU step.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    return bool(library.mallopt(_M_MMAP_THRESHOLD, THRESHOLD))
