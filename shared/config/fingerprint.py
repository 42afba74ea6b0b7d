"""A short name for what file and environment say together, which tells nothing of what that is."""

from hashlib import blake2b

import msgspec

from shared.config.layers import Base
from shared.security.secrets import derive

__all__ = ("configuration_fingerprint", "secret_fingerprint")

_BYTES = 8

_OWN = frozenset(
    {"config_path", "database_url", "logging", "server.admin_addr", "server.listen_addr"}
)
"""What may differ from one node of an installation to the next."""


def configuration_fingerprint(base: Base, secret: bytes) -> str:
    """16 hexadecimal digits, the same for the same settings under the same secret of an
    installation; addresses, paths and the log's settings don't count.
    """
    settings = {
        name: {key: one for key, one in value.items() if f"{name}.{key}" not in _OWN}
        if isinstance(value, dict)
        else value
        for name, value in base.tree.items()
        if name not in _OWN
    }
    text = msgspec.json.encode(settings, order="deterministic")
    return blake2b(text, key=derive(secret, "fingerprint"), digest_size=_BYTES).hexdigest()


def secret_fingerprint(secret: bytes) -> str:
    """16 hexadecimal digits that the secret can't be found by."""
    return derive(secret, "fingerprint of the secret").hex()[: 2 * _BYTES]
