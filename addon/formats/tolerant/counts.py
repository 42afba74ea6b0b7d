"""Counts of tokens as upstreams report them."""

import math
from typing import Any

from addon.formats.wire.lenient import as_number

__all__ = ("count_of",)

_LIMIT = 10**9
"""More tokens than any request has: sums of such counts still fit a database's integers."""


def count_of(usage: dict[str, Any], *names: str) -> int | None:
    """The first of the members that is a count; None when none is.

    Some servers count in fractions (GLM, once its cache is hit): they are rounded up.
    """
    for name in names:
        count = as_number(usage.get(name))
        if count is not None and 0 <= count < math.inf:
            return min(math.ceil(count), _LIMIT)
    return None
