"""The public port when systemd holds it: it passes sockets as sd_listen_fds(3) says, and keeps them
open while the gateway is stopped.
"""

import os
import socket
from collections.abc import MutableMapping

from shared.config.address import split_address
from shared.errors import ThinkbackError

__all__ = ("ActivationError", "activated")

_FIRST = 3
"""SD_LISTEN_FDS_START."""


class ActivationError(ThinkbackError):
    """What systemd passes can't be used; the message says why."""


def activated(environ: MutableMapping[str, str], address: str) -> list[int]:
    """Take the sockets that systemd has passed to this process, out of the environment too; none
    if it did not.

    Raises ActivationError unless they listen on `address`: what is safe there, and what other
    commands tell of the gateway, goes by that.
    """
    pid, count = environ.pop("LISTEN_PID", ""), environ.pop("LISTEN_FDS", "")
    environ.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()):
        return []
    passed = list(range(_FIRST, _FIRST + int(count)))
    wanted = _names(address)
    for fd in passed:
        os.set_inheritable(fd, False)
        name = _name(fd)
        if name not in wanted:
            raise ActivationError(
                f"systemd listens on {name}, and the gateway's address is {address}: have "
                "ListenStream= in thinkback.socket and LISTEN_ADDR say the same."
            )
    return passed


def _name(fd: int) -> str:
    with socket.socket(fileno=os.dup(fd)) as listener:
        if listener.family not in (socket.AF_INET, socket.AF_INET6):
            return "a socket that is none of TCP"
        return _written(listener.getsockname())


def _names(address: str) -> set[str]:
    host, port = split_address(address)
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    return {_written(each[4]) for each in found}


def _written(name: tuple[object, ...]) -> str:
    host, port = str(name[0]), name[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
