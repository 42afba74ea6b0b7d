"""Whether a request was made on this machine."""

import re
from collections.abc import Iterable

from shared.config.address import is_loopback

__all__ = ("is_local",)

_FORWARDING = frozenset(
    """
    cf-connecting-ip cf-connecting-ipv6 cf-ray client-ip fastly-client-ip fly-client-ip forwarded
    ngrok-trace-id tailscale-user-login true-client-ip via x-client-ip x-cluster-client-ip
    x-real-ip
    """.split()  # noqa: SIM905 - a list with one name a line would hide the code below it
)
"""Headers by which proxies and tunnels say for whom they ask (RFC 7239, RFC 9110 §7.6.3, and
what vendors document), beside all that begin with `x-forwarded-`.
"""

_HOST = re.compile(r"(?:\[([^\]]*)\]|([^:]*))(?::\d+)?", re.ASCII)


def is_local(peer: str, host: str, names: Iterable[str]) -> bool:
    """Whether a request comes from this machine and no further: the peer is a loopback
    address, the `Host` names this machine, and no header says that it was forwarded.

    A proxy or a tunnel on this machine connects from a loopback address, too. `names` are the
    request's headers in lower case.
    """
    if not is_loopback(peer) or not _names_this_machine(host):
        return False
    return not any(name in _FORWARDING or name.startswith("x-forwarded-") for name in names)


def _names_this_machine(host: str) -> bool:
    match = _HOST.fullmatch(host.lower())
    if match is None:
        return False
    name = match[1] or match[2] or ""
    return is_loopback(name) or name.endswith(".localhost")
