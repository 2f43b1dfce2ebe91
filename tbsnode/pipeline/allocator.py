"""Tell the C library to keep the memory of one picture for the next.

Each step of an analysis makes a few arrays of some megabytes and drops them. The C library of Linux
returns such blocks to the kernel at once and asks for them again, page by page, each filled with zeros
first; that was a fifth of the time of an analysis. Results do not depend on it.
"""

from __future__ import annotations

import ctypes

_MEBIBYTE = 1024 * 1024
# Parameters of mallopt in <malloc.h> of glibc: number and value.
_OPTIONS = (
    (-3, 32 * _MEBIBYTE),  # M_MMAP_THRESHOLD: larger blocks are mapped one by one; the most it allows
    (-1, 128 * _MEBIBYTE),  # M_TRIM_THRESHOLD: so much free memory is kept
    (-2, 4 * _MEBIBYTE),  # M_TOP_PAD: asked for beyond what is needed
)


def keep_freed_memory() -> bool:
    """Let this process keep up to 128 MiB that it freed; for processes that analyze pictures.

    Returns
    -------
    bool
        False where the C library has no such setting, as on macOS and with musl; nothing changes then.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all([mallopt(option, value) == 1 for option, value in _OPTIONS])
