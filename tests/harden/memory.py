"""What requests that nobody has let in may hold: unfinished bodies, heads, tiny chunks, and
what clients leave behind that read nothing.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from tests.harden.arena import ATTACKER, Arena, arena, head, line_from
from tests.harden.figure import Figure, at_scale
from tests.support.admin import Admin

__all__ = ("figures",)

BODIES = at_scale(6, 24)
"""Unfinished ones of 30 MB, of two users."""

HEADS = at_scale(100, 900)
"""Unfinished ones of 60 KB."""

TINY = at_scale(2, 8)
"""Unfinished bodies of chunks of two bytes, 8 MB on the wire."""

MOST_MB = 64
PIECE = b" " * 2**20
MIB = 30


def figures() -> Iterator[Figure]:
    """F24."""
    with arena() as stage:
        with stage.peak() as peak, ExitStack() as stack:
            _hold(stage, stack)
        grown = peak.grown
        refused = _spent(stage)
    yield Figure(
        "F24",
        f"{BODIES} unfinished bodies of {MIB} MB, {HEADS} heads of 60 KB, {TINY} of tiny chunks",
        f"+{grown:.0f} MB",
        f"≤ {MOST_MB} MB",
        grown <= MOST_MB,
    )
    yield Figure(
        "F24", "a body of a user whose quota is spent", refused, "429 by its head", "429" in refused
    )


def _hold(stage: Arena, stack: ExitStack) -> None:
    """Send all of it, and hold the connections."""
    threads = [
        threading.Thread(target=_body, args=(stage, stack, key))
        for key in [stage.hostile, stage.hostile_too] * (BODIES // 2)
    ]
    threads += [threading.Thread(target=_tiny, args=(stage, stack)) for _ in range(TINY)]
    threads.append(threading.Thread(target=_heads, args=(stage, stack)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _open(stage: Arena, stack: ExitStack, address: str = ATTACKER) -> socket.socket:
    return stack.enter_context(line_from(address, stage.gateway.port, 10))


def _body(stage: Arena, stack: ExitStack, key: str) -> None:
    with suppress(OSError):
        line = _open(stage, stack)
        line.sendall(head(key, b"content-length: %d" % (MIB * 2**20)) + b"\r\n")
        for _ in range(MIB - 1):
            line.sendall(PIECE)


def _tiny(stage: Arena, stack: ExitStack) -> None:
    with suppress(OSError):
        line = _open(stage, stack)
        line.sendall(head(stage.hostile, b"transfer-encoding: chunked") + b"\r\n")
        for _ in range(8 * 2**20 // 7000):
            line.sendall(b"2\r\nab\r\n" * 1000)


def _heads(stage: Arena, stack: ExitStack) -> None:
    with suppress(OSError):
        for _ in range(HEADS):
            line = _open(stage, stack)
            line.sendall(b"GET / HTTP/1.1\r\nx: " + b"x" * 60_000)


def _spent(stage: Arena) -> str:
    """What a user is told whose quota is spent, before the body is sent."""
    spent = Admin(stage.gateway).add_user("eve", quota_tokens=0)["api_key"]
    with line_from(ATTACKER, stage.gateway.port) as line:
        line.sendall(head(spent, b"content-length: 30000000") + b"\r\n")
        return line.recv(64).split(b"\r\n")[0].decode()
