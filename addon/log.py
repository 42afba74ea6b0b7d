"""The data plane's log: one line per request, for a person at a terminal."""

import logging
from collections.abc import Mapping

import msgspec

from shared.log import masked

__all__ = ("RequestLine",)

_log = logging.getLogger("thinkback.request")
_STEPS = {"off": "thinking=off", "trim": "history=shortened"}


class RequestLine(msgspec.Struct, kw_only=True):
    """What is said of one request."""

    client: str
    user_agent: str
    method: str
    path: str
    status: str
    """HTTP status, or `gone` when the client left before it had one."""

    seconds: float
    principal: str = ""
    key_suffix: str = ""
    model: str = ""
    upstream_model: str = ""
    upstream: str = ""
    upstream_key: str = ""
    tries: tuple[str, ...] = ()
    restored: Mapping[str, int] = {}
    step: str = ""
    """How the whole request was changed for turns that are not known: `off` or `trim`."""

    first_byte: float | None = None
    tokens: tuple[int, int, int] | None = None
    """Prompt, of these cached, and completion tokens."""

    note: str = ""

    def text(self) -> str:
        """The line without its time."""
        parts = [self.status, self.method[:16], self.path, f"{self.seconds:.3f}s"]
        if self.principal:
            parts.append(self.principal)
        if self.key_suffix:
            parts.append(f"…{self.key_suffix}")
        if self.model:
            renamed = self.upstream_model and self.upstream_model != self.model
            parts.append(f"{self.model} → {self.upstream_model}" if renamed else self.model)
        if self.upstream:
            parts.append(f"@{self.upstream} {self.upstream_key}".rstrip())
        if self.tries:
            parts.append("tries=" + ",".join(self.tries))
        if self.restored:
            parts.append(
                "turns=" + ",".join(f"{rule}:{count}" for rule, count in self.restored.items())
            )
        if self.step:
            parts.append(_STEPS[self.step])
        if self.first_byte is not None:
            parts.append(f"ttfb={self.first_byte:.3f}s")
        if self.tokens is not None:
            prompt, cached, completion = self.tokens
            parts.append(f"tokens={prompt}+{completion}" + (f" cached={cached}" if cached else ""))
        parts.append(self.client)
        if self.user_agent:
            parts.append(f'"{self.user_agent[:120]}"')
        if self.note:
            parts.append(self.note)
        return masked(" ".join(parts))

    def write(self) -> str:
        """Say it, and return what was said."""
        level = logging.WARNING if self.status.startswith("5") else logging.INFO
        text = self.text()
        if _log.isEnabledFor(level):
            # `log` would look for the line of code that calls it.
            record = _log.makeRecord(
                _log.name, level, "", 0, text, (), None, extra={"status": self.status}
            )
            _log.handle(record)
        return text
