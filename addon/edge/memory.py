"""Memory that large bodies took is given back to the system when they are gone."""

import ctypes

__all__ = ("give_back_soon",)

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""https://man7.org/linux/man-pages/man3/mallopt.3.html"""

_MMAP_BYTES = 256 * 1024
"""From here on an allocation has pages of its own. glibc raises its limit to the size of what
is freed, up to 32 MiB, and then keeps the room of large bodies between small objects.
"""

_TRIM_BYTES = 1024 * 1024


def give_back_soon() -> bool:
    """Have the C library do so, in this process; whether it can be told."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False  # another C library than glibc, which needs no telling
    return bool(mallopt(_M_MMAP_THRESHOLD, _MMAP_BYTES) and mallopt(_M_TRIM_THRESHOLD, _TRIM_BYTES))
