"""Providers that the forms for upstreams offer; the table itself is `presets.toml`."""

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from manage_api.web.connect import SERVED

__all__ = ("Preset", "presets")


class Preset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One provider."""

    title: str
    name: str
    """For its upstream."""

    format: str
    """What it is spoken to in."""

    base_url: str
    keys: str = ""
    """Where its keys are made."""

    note: str = ""


@cache
def presets() -> tuple[Preset, ...]:
    """Those whose format is served."""
    table = tomllib.loads(Path(__file__).with_name("presets.toml").read_text("utf-8"))
    known = msgspec.convert(table["presets"], list[Preset])
    return tuple(preset for preset in known if preset.format in SERVED)
