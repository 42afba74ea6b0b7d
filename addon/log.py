"""The data plane's log: one line per request, for a person at a terminal."""

import logging
import os
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

import msgspec

from shared.config.schema import Logging

__all__ = ("RequestLine", "configure", "masked", "wants_color")

_log = logging.getLogger("thinkback.request")
_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=[0-9\[]m))"
"""Where a secret may begin: at a word's start, which JSON's and terminals' escapes may precede."""

_SECRETS = [
    re.compile(_START + shape, re.ASCII)
    for shape in (
        r"((?i:bearer)\s+)[^\s\"']+()",
        r"(eyJ)[\w\-]+\.[\w\-]+\.[\w\-]+()",  # JWT
        r"((?:(?:sk|tp|nvapi|rk|pk|csk|xai)-|gsk_|hf_|fw_|AIza))[\w\-]{8,}([\w\-]{4})",
        r"()[0-9a-f]{32}\.\w{12}(\w{4})",  # Zhipu
    )
]
"""What is kept of a secret stands before and after the rest of it."""

_LONGEST_SECRET = 4096
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_STEPS = {"off": "thinking=off", "trim": "history=shortened"}
_STATUS_COLORS = {2: "32", 3: "36", 4: "33", 5: "31"}


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
            parts.append(f"{self.principal} …{self.key_suffix}")
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
        parts += [self.client, f'"{self.user_agent[:120]}"', self.note]
        return masked(" ".join(part for part in parts if part))

    def write(self) -> None:
        """Say it."""
        level = logging.WARNING if self.status.startswith("5") else logging.INFO
        _log.log(level, "%s", self.text(), extra={"status": self.status})


def masked(text: str, limit: int = 0) -> str:
    """The text without secrets and without characters that steer a terminal, cut to `limit`
    characters if given.
    """
    length = len(text)
    if limit:
        text = text[: limit + _LONGEST_SECRET]
    for secret in _SECRETS:
        text = secret.sub(r"\1…\2", text)
    if limit and length > limit:
        text = f"{text[:limit]}… ({length} characters)"
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def wants_color(setting: str, environ: Mapping[str, str], stream: TextIO) -> bool:
    """`always` and `never` decide; else NO_COLOR (https://no-color.org), else whether a
    terminal listens.
    """
    if setting in ("always", "never"):
        return setting == "always"
    return not environ.get("NO_COLOR") and stream.isatty()


def configure(settings: Logging) -> None:
    """Send our log to standard output in our own form; mitmproxy's own goes its own way."""
    logger = logging.getLogger("thinkback")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Formatter(wants_color(settings.color, os.environ, sys.stdout)))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(settings.level.upper())


class _Formatter(logging.Formatter):
    def __init__(self, color: bool) -> None:
        super().__init__()
        self._color = color

    def format(self, record: logging.LogRecord) -> str:
        time = (
            datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
        )
        status = str(getattr(record, "status", ""))
        level = "" if record.levelno == logging.INFO or status else f"{record.levelname.lower()}: "
        line = f"{time} {level}{record.getMessage()}"
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            line = "\n".join([line, *map(masked, trace)])
        if not self._color:
            return line
        paint = _STATUS_COLORS.get(int(status[0]) if status[:1].isdigit() else 0, "0")
        return line.replace(f" {status} ", f" \x1b[{paint}m{status}\x1b[0m ", 1) if status else line
