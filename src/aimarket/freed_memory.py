"""What becomes of memory that is freed: given back to the system, it costs a page fault for every four kB when it is
asked for again, and a step of the market frees and asks for tens of MB.
"""

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # as <malloc.h> of the GNU C library numbers them
_KEPT = 64 << 20  # bytes at the end of the heap that stay with the process
_LARGE = 4 << 20  # bytes from which on a block is given back at once


def keep_freed_memory() -> None:
    """Let this process keep some of what it frees; where the C library is not GNU's, all stays as it is."""
    library = ctypes.CDLL(None)
    if hasattr(library, "gnu_get_libc_version"):
        library.mallopt(_TRIM_THRESHOLD, _KEPT)
        library.mallopt(_MMAP_THRESHOLD, _LARGE)
