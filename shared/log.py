"""The log of all programs: its form, and what is masked in it."""

import logging
import os
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:  # the supervisor writes lines too, and keeps nothing that it does not need
    from shared.config.schema import Logging

__all__ = ("CALLER_HEADER", "LineFormatter", "configure", "masked", "stamped", "wants_color")

CALLER_HEADER = "x-thinkback-caller"
"""The header of a response of the sidecar that names its caller, percent-encoded: the data plane
writes the name into its line, and passes the header on to nobody.
"""

_START = r"(?:(?<![A-Za-z0-9])|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4})|(?<=[0-9\[]m))"
"""Where a secret may begin: at a word's start, which JSON's and terminals' escapes may precede."""

_BEARER, _JWT = "bearer", "eyJ"
_KEYS = ("sk-", "tp-", "nvapi-", "rk-", "pk-", "csk-", "xai-", "gsk_", "hf_", "fw_", "AIza")
_ZHIPU = r"[0-9a-f]{32}\."
_SECRETS = [
    re.compile(_START + shape, re.ASCII)
    for shape in (
        rf"((?i:{_BEARER})\s+)[^\s\"']+()",
        rf"({_JWT})[\w\-]+\.[\w\-]+\.[\w\-]+()",
        rf"((?:{'|'.join(_KEYS)}))[\w\-]{{8,}}([\w\-]{{4}})",
        rf"(){_ZHIPU}\w{{12}}(\w{{4}})",
    )
]
"""What is kept of a secret stands before and after the rest of it."""

_BEGINNINGS = (_JWT, *_KEYS)
_LIKE_ZHIPU = re.compile(_ZHIPU)

_LONGEST_SECRET = 4096
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
_STATUS_COLORS = {2: "32", 3: "36", 4: "33", 5: "31"}


def masked(text: str, limit: int = 0) -> str:
    """The text without secrets and without characters that steer a terminal, cut to `limit`
    characters if given.
    """
    length = len(text)
    if limit:
        text = text[: limit + _LONGEST_SECRET]
    if _may_hold_secret(text):
        for secret in _SECRETS:
            text = secret.sub(r"\1…\2", text)
    if limit and length > limit:
        text = f"{text[:limit]}… ({length} characters)"
    if text.isprintable():
        return text
    return _UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def _may_hold_secret(text: str) -> bool:
    """Whether what a secret begins with is anywhere in the text: most lines are told by that, in a
    tenth of the time that looking for secrets takes.
    """
    for beginning in _BEGINNINGS:
        if beginning in text:
            return True
    return _BEARER in text.lower() or _LIKE_ZHIPU.search(text) is not None


def wants_color(setting: str, environ: Mapping[str, str], stream: TextIO) -> bool:
    """`always` and `never` decide; else NO_COLOR (https://no-color.org), else whether a
    terminal listens.
    """
    if setting in ("always", "never"):
        return setting == "always"
    return not environ.get("NO_COLOR") and stream.isatty()


def configure(settings: "Logging", stream: TextIO, program: str = "") -> logging.Handler:
    """Send our log to the stream in our own form, each line with the program's name if given;
    return what writes it, as those of libraries go their own way.
    """
    logger = logging.getLogger("thinkback")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter(wants_color(settings.color, os.environ, stream), program))
    logger.handlers = [handler]
    logger.propagate = False
    logger.setLevel(settings.level.upper())
    return handler


def stamped(text: str, seconds: float) -> str:
    """The text after the local time, given in seconds since the epoch."""
    return f"{_local_time(int(seconds))} {text}"


@lru_cache(maxsize=1)
def _local_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")


class LineFormatter(logging.Formatter):
    """Writes a record as its time, the program, a level other than info, and the message."""

    def __init__(self, color: bool, program: str = "") -> None:
        super().__init__()
        self._color = color
        self._program = f"{program}: " if program else ""

    def format(self, record: logging.LogRecord) -> str:
        status = str(getattr(record, "status", ""))
        level = "" if record.levelno == logging.INFO or status else f"{record.levelname.lower()}: "
        line = stamped(f"{self._program}{level}{record.getMessage()}", record.created)
        if record.exc_info:
            trace = self.formatException(record.exc_info).splitlines()
            line = "\n".join([line, *map(masked, trace)])
        if not self._color:
            return line
        paint = _STATUS_COLORS.get(int(status[0]) if status[:1].isdigit() else 0, "0")
        return line.replace(f" {status} ", f" \x1b[{paint}m{status}\x1b[0m ", 1) if status else line
