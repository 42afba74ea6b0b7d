"""Secrets planted in a running gateway are found nowhere that others look (F7)."""

import base64
import json
import socket
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from tests.harden.figure import Figure
from tests.support.client import fetch, post
from tests.support.gateway import Gateway, upstream_environment
from tests.support.provider import StrictProvider

__all__ = ("figures",)

UPSTREAM_KEY = "sk-canary-of-the-upstream-0123456789"
WRONG_KEY = "sk-" + "CanaryOfAStranger" + "0" * 26
JWT_SECRET = "canary-of-the-jwt-secret-0123456789abcdef"
PASSWORD = "canary of the admin's password"
TYPED = "canary of a mistyped password"
PROMPT = "canary of a prompt"
IN_DATABASE = frozenset({PROMPT})
"""What the database may hold: the audit, as it is configured."""


def figures() -> Iterable[Figure]:
    environ = {"JWT_SECRET": JWT_SECRET, "ADMIN_PASSWORD": PASSWORD}
    with (
        tempfile.TemporaryDirectory() as directory,
        StrictProvider(keys=(UPSTREAM_KEY,)) as provider,
        Gateway(
            Path(directory), environ | upstream_environment(provider.base_url, UPSTREAM_KEY)
        ) as gateway,
    ):
        planted = {
            "a client's key": gateway.new_user("ada"),
            "the upstream's key": UPSTREAM_KEY,
            "a stranger's key": WRONG_KEY,
            "the JWT secret": JWT_SECRET,
            "a password": PASSWORD,
            "a mistyped password": TYPED,
            "a prompt": PROMPT,
        }
        answers = b"\n".join(_scenarios(gateway, planted))
        planted["a session"] = _session(gateway)
        fetch("GET", f"{gateway.origin}/api/me", None, {"authorization": planted["a session"]})
        seen = _processes(gateway)
        gateway.stop()
        found = [
            f"{name} in {place}"
            for name, secret in planted.items()
            for place, content in (
                ("the log", gateway.log.encode()),
                ("an answer", answers),
                ("a process", seen),
                ("the database", _database(Path(directory), secret)),
            )
            if any(form in content for form in _forms(secret))
        ]
    scale = f"{len(planted)} secrets, 9 scenarios, in log, errors, processes and database"
    measured = f"{len(found)} hits{': ' if found else ''}{', '.join(found)}"
    yield Figure("F7", scale, measured, "0", not found)


def _scenarios(gateway: Gateway, planted: dict[str, str]) -> Iterator[bytes]:
    """Requests that are answered, and such as go wrong; what the callers are told."""
    key, path = planted["a client's key"], "/v1/chat/completions"
    body = json.dumps({"model": "m", "messages": [{"role": "user", "content": PROMPT}]}).encode()
    post(gateway.origin, path, body, key=key)
    post(gateway.origin, path, body, key=UPSTREAM_KEY)
    yield post(gateway.origin, path, body, key=WRONG_KEY).body
    yield post(gateway.origin, path, body[:-2], key=key).body
    yield post(gateway.origin, path, b'{"model": "m", "model": "n"}', key=key).body
    for password in (TYPED, PASSWORD + TYPED):
        wrong = json.dumps({"username": "admin", "password": password}).encode()
        yield post(gateway.origin, "/api/login", wrong).body
    for head in (
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}",
        f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nX: \0\r\n\r\n",
        f"GET /?key={key} HTTP/9.9\r\nHost: x\r\n\r\n",
    ):
        yield _sent(gateway.port, head.encode())


def _sent(port: int, head: bytes) -> bytes:
    """Send a head, say no more, and read what comes until the gateway closes or 2 s are over."""
    with socket.create_connection(("127.0.0.1", port), timeout=2) as line:
        line.sendall(head)
        line.shutdown(socket.SHUT_WR)
        got = b""
        with suppress(OSError):
            while piece := line.recv(65536):
                got += piece
        return got


def _session(gateway: Gateway) -> str:
    body = json.dumps({"username": "admin", "password": PASSWORD}).encode()
    token: str = post(gateway.origin, "/api/login", body).json["token"]
    return token


def _processes(gateway: Gateway) -> bytes:
    """Command lines of all programs, environments of those that the launcher started."""
    launcher, *children = gateway.processes()
    texts = [*launcher.cmdline()]
    for child in children:
        texts += [*child.cmdline(), *child.environ().values()]
    return "\n".join(texts).encode()


def _database(directory: Path, secret: str) -> bytes:
    if secret in IN_DATABASE:
        return b""
    return b"".join(path.read_bytes() for path in directory.glob("adapter.db*"))


def _forms(secret: str) -> set[bytes]:
    """How a secret may be spelt."""
    plain = secret.encode()
    return {
        plain,
        plain.hex().encode(),
        base64.b64encode(plain).rstrip(b"="),
        quote(secret).encode(),
        json.dumps(secret).strip('"').encode(),
    }
