"""What Linux knows of listening sockets, by netlink's sock_diag
(https://man7.org/linux/man-pages/man7/sock_diag.7.html).
"""

import socket
import struct

__all__ = ("backlog_of",)

_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_DUMP = 0x301
_DONE = 3
_LISTEN = 10
_HEADER = struct.Struct("=IHHII")
_QUERY = struct.Struct("=BBBxI48x")
_SOCKET = struct.Struct("=4xH54xI")
"""Of an answer: the port (in network order) and, before user and inode, the longest queue
of connections.
"""


def backlog_of(port: int) -> int:
    """How many connections may wait at the IPv4 socket that listens on the port;
    LookupError when none does.
    """
    query = _QUERY.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 1 << _LISTEN)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG) as line:
        line.send(_HEADER.pack(_HEADER.size + len(query), _BY_FAMILY, _REQUEST_DUMP, 1, 0) + query)
        while batch := line.recv(1 << 16):
            while batch:
                length, kind, *_ = _HEADER.unpack_from(batch)
                if kind == _DONE:
                    raise LookupError(f"nothing listens on port {port}")
                assert kind == _BY_FAMILY, "the kernel does not tell of sockets"
                at, backlog = _SOCKET.unpack_from(batch, _HEADER.size)
                if socket.ntohs(at) == port:
                    return int(backlog)
                batch = batch[(length + 3) & ~3 :]
    raise LookupError(f"nothing listens on port {port}")
