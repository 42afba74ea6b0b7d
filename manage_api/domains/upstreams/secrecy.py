"""Masks secrets of upstreams, and replaces masks in a body by the secrets they stand for."""

import re
from collections.abc import Mapping, Sequence

from shared.security.keys import mask

__all__ = ("MaskError", "is_secret_header", "mask_headers", "unmask_headers", "unmask_keys")

_SECRET = re.compile("auth|key|token|secret|cookie|password", re.IGNORECASE)
_MASK = mask("")


class MaskError(ValueError):
    """A mask in `field` does not stand for exactly one known secret."""

    def __init__(self, field: str) -> None:
        super().__init__(
            "This stands for no key or several keys at this address: enter it in full."
        )
        self.field = field


def is_secret_header(name: str) -> bool:
    """Whether a header of this name is secret by its name."""
    return _SECRET.search(name) is not None


def mask_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Mask the values of secret headers."""
    masked = dict(headers)
    for name in filter(is_secret_header, headers):
        masked[name] = mask(headers[name])
    return masked


def unmask_keys(keys: Sequence[str], stored_keys: Sequence[str]) -> list[str]:
    """Replace each mask by the stored key it stands for; raises MaskError."""
    unmasked = []
    for index, key in enumerate(keys):
        if key.startswith(_MASK):
            alike = [each for each in stored_keys if mask(each) == key]
            if len(alike) != keys.count(key):
                raise MaskError(f"api_keys[{index}]")
            key = alike[keys[:index].count(key)]
        unmasked.append(key)
    return unmasked


def unmask_headers(headers: Mapping[str, str], stored_headers: Mapping[str, str]) -> dict[str, str]:
    """Replace each mask by the stored value of that header; raises MaskError."""
    unmasked = dict(headers)
    for name, text in headers.items():
        if is_secret_header(name) and text.startswith(_MASK):
            if name not in stored_headers or mask(stored_headers[name]) != text:
                raise MaskError(f"headers.{name}")
            unmasked[name] = stored_headers[name]
    return unmasked
