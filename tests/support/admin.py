"""An admin's session with the management API, through the public port."""

import json
import time
from typing import Any

from tests.support.client import fetch
from tests.support.gateway import ADMIN_PASSWORD, Gateway
from tests.support.turns import Json

__all__ = ("Admin",)


class Admin:
    """The account `admin`, signed in."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self._headers = {"content-type": "application/json"}
        token = self.send("POST", "/api/login", {"username": "admin", "password": ADMIN_PASSWORD})[
            "token"
        ]
        self._headers["authorization"] = f"Bearer {token}"

    def send(self, method: str, path: str, body: Json | None = None) -> Json:
        """The answer's JSON; it must be a good one."""
        content = None if body is None else json.dumps(body).encode()
        answer = fetch(method, self.gateway.origin + path, content, self._headers)
        assert 200 <= answer.status < 300, answer
        return json.loads(answer.body) if answer.body else {}

    def page(self, path: str) -> str:
        """The page at a path."""
        answer = fetch("GET", self.gateway.origin + path, None, self._headers)
        assert answer.status == 200, answer
        return answer.body.decode()

    def now_ms(self) -> int:
        """The time of the machine, which is the gateway's."""
        return time.time_ns() // 1_000_000

    def add_user(
        self, username: str, password: str = "a password long enough", **fields: Any
    ) -> Json:
        """A new account, with its `api_key`."""
        return self.send(
            "POST", "/api/admin/users", {"username": username, "password": password, **fields}
        )
