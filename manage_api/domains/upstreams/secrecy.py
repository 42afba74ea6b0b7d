"""Secrets of upstreams: masked when shown, and had back when the mask is sent in."""

import re
from collections.abc import Mapping, Sequence

from shared.security.keys import mask

__all__ = ("MaskError", "is_secret_header", "masked_headers", "unmasked_headers", "unmasked_keys")

_SECRET = re.compile("auth|key|token|secret|cookie|password", re.IGNORECASE)
_MASK = mask("")


class MaskError(ValueError):
    """A mask does not stand for exactly one secret that is known; `field` is where it was given."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "This stands for nothing, or for several things, known at this address: enter it whole."
        )
        self.field = field


def is_secret_header(name: str) -> bool:
    """Whether the value of a header of this name is shown to nobody."""
    return _SECRET.search(name) is not None


def masked_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers, with the values masked of those whose name sounds secret."""
    return {name: mask(text) if is_secret_header(name) else text for name, text in headers.items()}


def unmasked_keys(given: Sequence[str], known: Sequence[str]) -> list[str]:
    """The keys given, each mask replaced by the known key it stands for; raises MaskError."""
    keys = []
    for index, key in enumerate(given):
        if key.startswith(_MASK):
            alike = [each for each in known if mask(each) == key]
            if len(alike) != given.count(key):
                raise MaskError(f"api_keys[{index}]")
            key = alike[given[:index].count(key)]
        keys.append(key)
    return keys


def unmasked_headers(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """The headers given, each mask replaced by the known value of that name; raises MaskError."""
    headers = dict(given)
    for name, text in given.items():
        if is_secret_header(name) and text.startswith(_MASK):
            if name not in known or mask(known[name]) != text:
                raise MaskError(f"headers.{name}")
            headers[name] = known[name]
    return headers
