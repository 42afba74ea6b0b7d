"""Authenticated encryption for rows of the database and for state that clients carry.

AES-256-GCM (NIST SP 800-38D) with a random nonce, under a key derived from the
installation's secret: that allows 2³² seals. A sealed value is a version byte, the nonce,
and the ciphertext with its tag.
"""

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.errors import ThinkbackError
from shared.security.secrets import derive

__all__ = ("SealError", "seal", "unseal")

_VERSION = b"\x01"
_NONCE_BYTES = 12
_TAG_BYTES = 16


class SealError(ThinkbackError):
    """A sealed value can't be opened."""


def seal(secret: bytes, plain: bytes, *, bound_to: str) -> bytes:
    """Encrypt `plain`; only the same secret and the same `bound_to` open it."""
    nonce = os.urandom(_NONCE_BYTES)
    return _VERSION + nonce + _cipher(secret).encrypt(nonce, plain, _VERSION + bound_to.encode())


def unseal(secret: bytes, sealed: bytes, *, bound_to: str) -> bytes:
    """Decrypt a sealed value; raises SealError if anything about it differs."""
    if sealed[:1] != _VERSION or len(sealed) < 1 + _NONCE_BYTES + _TAG_BYTES:
        raise SealError("This was not sealed by this version of Thinkback.")
    nonce, hidden = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return _cipher(secret).decrypt(nonce, hidden, _VERSION + bound_to.encode())
    except InvalidTag:
        raise SealError(
            "This was sealed with another secret.key, for another place, or was altered."
        ) from None


@lru_cache(maxsize=4)
def _cipher(secret: bytes) -> AESGCM:
    return AESGCM(derive(secret, "seal"))
