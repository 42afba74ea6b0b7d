"""Providers that the forms for upstreams offer; the table itself is `presets.toml`."""

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from shared.config.schema import Api

__all__ = ("Preset", "presets")


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider."""

    title: str
    name: str
    """For its upstream."""

    format: Api
    """What it is spoken to in."""

    base_url: str
    messages: str = ""
    """Its base URL for Messages, when that is another format at another place."""

    keys: str = ""
    """Where its keys are made."""

    note: str = ""

    @property
    def told(self) -> str:
        """The note, and where else it can be spoken to."""
        also = f"It also speaks Messages, at {self.messages}." if self.messages else ""
        return f"{self.note} {also}".strip()


@cache
def presets() -> tuple[Preset, ...]:
    """In the order of the table."""
    table = tomllib.loads(Path(__file__).with_name("presets.toml").read_text("utf-8"))
    return tuple(msgspec.convert(table["presets"], list[Preset]))
