"""The providers that the forms for upstreams offer, from `presets.toml`."""

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
    """The name for its upstream."""

    format: Api
    """The API format in which it tells most of the model's reasoning."""

    base_url: str
    messages: str = ""
    """Its base URL for Messages, if that is different."""

    keys: str = ""
    """The page where people get its keys."""

    note: str = ""

    @property
    def hint(self) -> str:
        """The note, and its other endpoint."""
        if not self.messages:
            return self.note
        return f"{self.note} It also offers Messages at {self.messages}.".strip()


@cache
def presets() -> tuple[Preset, ...]:
    """Return the presets in the order of the table."""
    table = tomllib.loads(Path(__file__).with_name("presets.toml").read_text("utf-8"))
    return tuple(msgspec.convert(table["presets"], list[Preset]))
